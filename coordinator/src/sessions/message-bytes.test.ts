import { fromBinary } from '@bufbuild/protobuf';
import { CoordinatorMessageSchema, SessionResponseSchema, type CoordinatorMessage } from '@weft/proto';
import { createIdentity, domains, openEnvelope } from '@weft/shared';
import { expect, test } from 'vitest';
import type { CoordinatorSays } from '../federation/ports.ts';
import { messageBytes } from './message-bytes.ts';

const { identity } = createIdentity();
const sessionId = new Uint8Array(16).fill(7);

const opened = (bytes: Uint8Array): CoordinatorMessage =>
  openEnvelope(
    domains.coordinatorMessage,
    CoordinatorMessageSchema,
    fromBinary(SessionResponseSchema, new Uint8Array(bytes)).envelope,
    identity.publicKey,
  );

const secure = (value: Extract<CoordinatorSays, { case: 'secure' }>['value']) => ({ case: 'secure', value }) as const;

test('a message is opened as what was said, signed for this session and number', () => {
  const body = new Uint8Array(70_000).fill(3);
  const said = messageBytes(secure({ runId: 'r_1', round: 4, name: 'roster', body }));
  // the same bytes, whoever they are sealed for
  for (const sequence of [0n, 1n, 300n, 2n ** 60n]) {
    const sealed = said.seal({ sessionId, sequence }, identity);
    expect(opened(sealed)).toMatchObject({ sessionId, sequence, kind: secure({ runId: 'r_1', round: 4, body }) });
    expect(sealed.length).toBeLessThanOrEqual(said.sizeBytes);
    expect(sealed.length).toBeGreaterThan(said.sizeBytes - 60);
  }
});

test('what a node is told alone stands beside what all are told, whose bytes are made once', () => {
  let reads = 0;
  const value = {
    name: 'offer',
    get memberKeys() {
      reads++;
      return [new Uint8Array(32).fill(1)];
    },
  };
  const said = secure(value);
  const seal = (own?: CoordinatorSays) => opened(messageBytes(said, own).seal({ sessionId, sequence: 1n }, identity));
  const first = seal(secure({ proof: new Uint8Array([1]), proofFrom: 5n }));
  const readsOnce = reads;
  const second = seal(secure({ proof: new Uint8Array([2]) }));
  const alone = seal();
  expect(reads).toBe(readsOnce);
  const memberKeys = [new Uint8Array(32).fill(1)];
  expect(first.kind.value).toMatchObject({ name: 'offer', memberKeys, proof: new Uint8Array([1]), proofFrom: 5n });
  expect(second.kind.value).toMatchObject({ name: 'offer', memberKeys, proof: new Uint8Array([2]), proofFrom: 0n });
  expect(alone.kind.value).toMatchObject({ name: 'offer', memberKeys, proof: new Uint8Array() });
});

test('a message without fields has its kind', () => {
  expect(opened(messageBytes(secure({})).seal({ sessionId, sequence: 0n }, identity)).kind.case).toBe('secure');
});
