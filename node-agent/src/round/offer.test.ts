import { create, toBinary } from '@bufbuild/protobuf';
import { Factor, OfferKind, RoundOfferSchema, type Envelope } from '@weft/proto';
import {
  createIdentity,
  domains,
  isWeftError,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  sha256,
  signedBytes,
  toFederationId,
  toNodeId,
} from '@weft/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openOffer, type OfferSubject } from './offer.ts';

const coordinator = createIdentity().identity;
const federation = {
  version: 1 as const,
  address: 'localhost:1',
  federationId: toFederationId(coordinator.publicKey),
  federationName: 'test',
  coordinatorKey: coordinator.publicKey,
  certificates: [{ der: Uint8Array.of(1), notBeforeMs: 0 }],
  nodeId: toNodeId(new Uint8Array(32)),
  nodeName: 'one',
  organisation: '',
};
const model = sha256('model');
const spec = parseRunSpec({
  name: 'run',
  baseModel: { name: 'm', sha256: model },
  adapter: {},
  training: { steps: 1 },
  aggregation: { mode: 'plain' },
  rounds: 1,
});
const blob = (name: string, sizeBytes = 5n) => ({ name, sha256: sha256(name) as string, sizeBytes });

const good = () => ({
  federationId: federation.federationId as string,
  runId: `r_${'0'.repeat(32)}`,
  round: 2,
  kind: OfferKind.TRAIN as OfferKind,
  runSpec: runSpecBytes(spec),
  baseModelSha256: model as string,
  baseModelFiles: [blob('config.json')],
  layoutSha256: sha256('layout'),
  adapter: blob('adapter_model.safetensors'),
  factor: Factor.B as Factor,
  batchSeed: 7n,
  clipNormL2: 10,
});
type OfferInit = Omit<ReturnType<typeof good>, 'adapter'> & { adapter?: ReturnType<typeof blob> };
const seal = (
  offer: OfferInit,
  signer = coordinator,
  domain: (typeof domains)[keyof typeof domains] = domains.roundOffer,
): Envelope => sealEnvelope(domain, RoundOfferSchema, offer, signer);

test('an offer whose parts fit together is read', () => {
  expect(openOffer(seal(good()), federation)).toMatchObject({
    round: 2,
    kind: 'train',
    factor: 'B',
    batchSeed: 7n,
    clipNormL2: 10,
    spec,
  });
});

const { adapter: _adapter, ...withoutAdapter } = good();
const asText = Buffer.from(runSpecBytes(spec)).toString();
const refused: [string, string, Envelope][] = [
  ['signed by another key', 'WEFT_SIGNATURE_INVALID', seal(good(), createIdentity().identity)],
  ['signed for another purpose', 'WEFT_SIGNATURE_INVALID', seal(good(), coordinator, domains.coordinatorMessage)],
  ['of another federation', 'WEFT_WRONG_FEDERATION', seal({ ...good(), federationId: 'f_0' })],
  [
    'with another base model than its spec',
    'WEFT_NODE_OFFER_INVALID',
    seal({ ...good(), baseModelSha256: sha256('other') }),
  ],
  ['without an adapter', 'WEFT_NODE_OFFER_INVALID', seal(withoutAdapter)],
  ['for work that does not exist', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), kind: OfferKind.UNSPECIFIED })],
  ['for both factors under RoLoRA', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), factor: Factor.BOTH })],
  ['with a spec that is no JSON', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), runSpec: Buffer.from('{"name":') })],
  ['with a spec in another order', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), runSpec: Buffer.from(` ${asText}`) })],
  [
    'with a spec of code',
    'WEFT_SPEC_INVALID',
    seal({ ...good(), runSpec: Buffer.from(asText.replace('"causal-lm"', '"eval"')) }),
  ],
  ['with a spec of a megabyte', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), runSpec: Buffer.alloc(1 << 20, 0x20) })],
  [
    'with a file that leaves the cache',
    'WEFT_NODE_OFFER_INVALID',
    seal({ ...good(), baseModelFiles: [blob('../../.ssh/authorized_keys')] }),
  ],
  ['with a hidden file', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), baseModelFiles: [blob('.npmrc')] })],
  [
    'with an adapter of a petabyte',
    'WEFT_NODE_OFFER_INVALID',
    seal({ ...good(), adapter: blob('adapter_model.safetensors', 2n ** 50n) }),
  ],
  ['that clips to another norm than its spec', 'WEFT_NODE_OFFER_INVALID', seal({ ...good(), clipNormL2: 10.01 })],
];

test.each(refused)('an offer %s is refused', (_what, code, envelope) => {
  expect(() => openOffer(envelope, federation)).toThrow(expect.objectContaining({ code }));
});

test('where the run adapts it, the clip norm is one that so many rounds can have led to', () => {
  const adapting = runSpecBytes(
    parseRunSpec({
      ...spec,
      cohort: { minimum: 11, maximum: 11 },
      aggregation: { weighting: 'uniform' },
      evaluation: { heldOutShare: 0 },
      privacy: { noiseMultiplier: 1, adaptiveClipping: true },
    }),
  );
  const at = (round: number, clipNormL2: number) => () =>
    openOffer(seal({ ...good(), runSpec: adapting, round, clipNormL2 }), federation);
  const refusal: unknown = expect.objectContaining({ code: 'WEFT_NODE_OFFER_INVALID' });
  expect(at(0, 10)().clipNormL2).toBe(10);
  expect(at(2, 10 * Math.exp(0.2))().clipNormL2).toBeCloseTo(12.214, 3);
  expect(at(2, 10 * Math.exp(-0.15))().clipNormL2).toBeCloseTo(8.607, 3);
  expect(at(0, 10.1)).toThrow(refusal);
  for (const norm of [10 * Math.exp(0.21), 10 * Math.exp(-0.21), 0, -10, Number.NaN, Number.POSITIVE_INFINITY])
    expect(at(2, norm)).toThrow(refusal);
});

test('run and round are known for the answer as soon as the signature held, and not before', () => {
  const subjects: OfferSubject[] = [];
  expect(() =>
    openOffer(seal({ ...good(), factor: Factor.BOTH }), federation, (subject) => subjects.push(subject)),
  ).toThrow();
  expect(() =>
    openOffer(seal(good(), createIdentity().identity), federation, (subject) => subjects.push(subject)),
  ).toThrow();
  expect(subjects).toEqual([{ runId: `r_${'0'.repeat(32)}`, round: 2 }]);
});

test('no bytes, signed by the right key, lead to anything but an offer or a catalogued error', () => {
  const whole = toBinary(RoundOfferSchema, create(RoundOfferSchema, good()));
  const changed = fc
    .tuple(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }))
    .map(([at, bytes]) => {
      const copy = Uint8Array.from(whole);
      copy.set(bytes.subarray(0, copy.length - at), at);
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 200 })), (body) => {
      const envelope = sealEnvelope(domains.roundOffer, RoundOfferSchema, {}, coordinator);
      const signed = { ...envelope, body, signature: coordinator.sign(signedBytes(domains.roundOffer, body)) };
      try {
        openOffer(signed, federation);
      } catch (error) {
        expect(isWeftError(error)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});
