import { constants, type Http2Stream } from 'node:http2';

/**
 * Ends the stream of a call at once, with what it still holds. grpc-js itself sends a status only behind everything that
 * was written, and of a peer that does not read it keeps that for as long as the connection lives.
 */
export function resetStream(call: object): void {
  const { call: inner } = call as { call?: { stream?: Http2Stream } };
  inner?.stream?.close(constants.NGHTTP2_CANCEL);
}
