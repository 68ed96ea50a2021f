import { secagg } from '@weft/shared';
import { expect, test } from 'vitest';
import { defaultLimits } from './limits.ts';

const bytes = (length: number): Uint8Array => new Uint8Array(length);
const header = { roundId: bytes(32), sessionId: bytes(32), index: 0 };
const advert = {
  body: secagg.encodeBody('keyAdvert', {
    ...header,
    nodeId: bytes(16),
    shareKey: bytes(32),
    maskKey: bytes(32),
    nonce: bytes(16),
  }),
  signature: bytes(64),
};
const many = <T>(item: T): T[] => Array.from({ length: secagg.maxCohort }, () => item);
/** Around a body: the message, its signature and the envelope's. */
const framingBytes = 1024;

test('the longest messages of the largest cohort are sent, and what a node answers is taken', () => {
  const roster = secagg.encodeBody('roster', { ...header, rosterRoot: bytes(32), adverts: many(advert) });
  const acks = many({ index: 0, signature: bytes(64) });
  const unmask = secagg.encodeBody('unmask', { ...header, cutHash: bytes(32), acks });
  // An Ed25519 key, an organisation's key and its signature, each with its tag and length.
  const keysBytes = secagg.maxCohort * (32 + 2 + 96 + 2);
  for (const sizeBytes of [roster.length, unmask.length, keysBytes]) {
    expect(sizeBytes).toBeGreaterThan(512 * 1024);
    expect(sizeBytes + framingBytes).toBeLessThan(defaultLimits.sentMessageBytes);
  }
  expect(roster.length + keysBytes).toBeLessThan(defaultLimits.queueBytes);
  const sealed = { selfShareHash: bytes(32), maskShareHash: bytes(32), ciphertext: bytes(80) };
  const shares = secagg.encodeBody('shares', {
    ...header,
    selfCommitment: bytes(32),
    sealed: Array.from({ length: secagg.maxShardMembers }, () => sealed),
  });
  expect(shares.length + framingBytes).toBeLessThan(defaultLimits.messageBytes);
  expect(defaultLimits.sessions).toBeGreaterThan(secagg.maxCohort);
});
