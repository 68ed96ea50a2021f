import { describe, expect, it } from 'vitest';
import { catalogue, type ErrorCode } from './catalogue.ts';
import { fromGrpcStatus, fromRefusal, toGrpcFailure, type GrpcStatusLike } from './grpc-status.ts';
import { WeftError, isWeftError } from './weft-error.ts';

const travel = (error: unknown): GrpcStatusLike => {
  const { code, details, trailers } = toGrpcFailure(error);
  return { code, details, metadata: { get: (key) => (trailers[key] === undefined ? [] : [trailers[key]]) } };
};

describe('errors over gRPC', () => {
  it('arrive with the code and the message they left with, every row of the catalogue', () => {
    for (const code of Object.keys(catalogue) as ErrorCode[]) {
      const arrived = fromGrpcStatus(travel(new WeftError(code, 'round 7 is over, this is for round 6')));
      expect(arrived?.code).toBe(code);
      expect(arrived?.message).toBe('round 7 is over, this is for round 6');
    }
  });

  it('say nothing of a fault that has no row', () => {
    const { details, trailers } = toGrpcFailure(new Error('ENOENT: /home/amina/diaries.txt'));
    expect(trailers['weft-code']).toBe('WEFT_INTERNAL');
    expect(details).not.toContain('amina');
  });

  it('name a full disk and a port in use', () => {
    expect(toGrpcFailure(Object.assign(new Error('no space'), { code: 'ENOSPC' })).trailers['weft-code']).toBe(
      'WEFT_DISK_FULL',
    );
    expect(toGrpcFailure(Object.assign(new Error('in use'), { code: 'EADDRINUSE' })).trailers['weft-code']).toBe(
      'WEFT_PORT_IN_USE',
    );
  });

  it('leave failures that are not of Weft to the caller', () => {
    expect(fromGrpcStatus({ code: 14, details: 'no connection', metadata: { get: () => [] } })).toBeUndefined();
    expect(fromGrpcStatus({ code: 14, details: 'x', metadata: { get: () => ['toString'] } })).toBeUndefined();
  });

  it('bring no control character of the other side to a terminal', () => {
    const error = fromRefusal({ code: 'WEFT_UPDATE_DUPLICATE', message: `\u001B[2Jgone${'a'.repeat(9000)}` });
    expect(isWeftError(error, 'WEFT_UPDATE_DUPLICATE')).toBe(true);
    expect(error.message).not.toContain('\u001B');
    expect(error.message.length).toBe(2000);
  });
});
