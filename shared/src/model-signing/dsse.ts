/** in-toto's media type, the only one that a bundle of model signing may hold. */
export const payloadType = 'application/vnd.in-toto+json';

/** PAE of DSSE 1.0: what is signed, so that a payload of one type is never taken for one of another. */
export const preAuthEncoding = (payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload]);
