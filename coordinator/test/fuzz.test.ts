import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnrollBodySchema, EnvelopeSchema, NodeMessageSchema, type Envelope } from '@weft/proto';
import { createIdentity, domains, isWeftError, signBody, type Domain } from '@weft/shared';
import { enrol } from '../src/registry/enrolment.ts';
import { verifyHello } from '../src/sessions/handshake.ts';
import { startTestCoordinator, type TestCoordinator } from './test-coordinator.ts';

let coordinator: TestCoordinator;
beforeAll(async () => {
  coordinator = await startTestCoordinator();
});
afterAll(() => coordinator.close());

const { identity } = createIdentity();

/** Signed as it must be, whatever the body is: what a node with a key can send. */
const sign = (domain: Domain, body: Uint8Array): Envelope =>
  create(EnvelopeSchema, {
    body,
    keyId: Buffer.from(identity.keyId, 'hex'),
    signature: signBody(domain, body, identity),
  });

const bytes = fc.uint8Array({ maxLength: 64 });
const anyEnvelope = fc
  .record({ body: fc.uint8Array({ maxLength: 300 }), keyId: bytes, signature: bytes })
  .map((envelope) => create(EnvelopeSchema, envelope));
const enrolBody = fc
  .record({
    protocolVersion: fc.constantFrom(0, 1, 2),
    federationId: fc.oneof(fc.constant('f'), fc.string()),
    coordinatorKey: bytes,
    inviteToken: bytes,
    publicKey: fc.oneof(fc.constant(identity.publicKey), bytes),
    nodeName: fc.string({ unit: 'binary', maxLength: 200 }),
    nonce: bytes,
  })
  .map((body) => sign(domains.enroll, toBinary(EnrollBodySchema, create(EnrollBodySchema, body))));
const helloBody = fc
  .record({
    transcript: fc.record({ nodeId: fc.string(), nodeNonce: bytes, coordinatorNonce: bytes, coordinatorKey: bytes }),
    transcriptSignature: bytes,
  })
  .map((hello) =>
    sign(
      domains.nodeMessage,
      toBinary(NodeMessageSchema, create(NodeMessageSchema, { kind: { case: 'hello', value: hello as never } })),
    ),
  );

/** Nothing that a stranger sends may end in anything but a refusal of the catalogue. */
const expectRefusal = (run: () => unknown): void => {
  try {
    run();
  } catch (error) {
    expect(isWeftError(error)).toBe(true);
    return;
  }
  expect.unreachable('a made-up message was taken');
};

describe('whatever bytes a stranger sends', () => {
  it('enrol nobody', () => {
    fc.assert(
      fc.property(fc.oneof(anyEnvelope, enrolBody), (envelope) =>
        expectRefusal(() => enrol({ $typeName: 'weft.v1.EnrollRequest', envelope }, coordinator)),
      ),
    );
    expect(coordinator.registry.list()).toEqual([]);
  });

  it('open no session', () => {
    fc.assert(
      fc.property(fc.oneof(anyEnvelope, helloBody), (envelope) =>
        expectRefusal(() => verifyHello(envelope, new Uint8Array(32), coordinator)),
      ),
    );
    expect(coordinator.sessions.gateway.connected()).toEqual([]);
  });
});
