import {
  create,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  fromBinary,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import * as proto from '@weft/proto';
import { openOffer } from '@weft/node-agent';
import {
  catalogue,
  domains,
  type ErrorCode,
  fromGrpcStatus,
  fromRefusal,
  openCertificateRenewal,
  openEnvelope,
  parseBody,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  signedBytes,
  toFederationId,
  toNodeId,
} from '@weft/shared';
import fc from 'fast-check';
import { decoder, hash, identity } from './decoder.ts';

import { demand, type FuzzTarget, fuzzTarget, sameBytes, takes } from './target.ts';

/** Every message of the protocol, and what is read of those that somebody signed. */

const errorCodes = Object.keys(catalogue) as ErrorCode[];
const files = Object.values(proto).filter(
  (exported): exported is DescFile => typeof exported === 'object' && 'kind' in exported && exported.kind === 'file',
);
const nested = (message: DescMessage): DescMessage[] => [message, ...message.nestedMessages.flatMap(nested)];
export const messages: readonly DescMessage[] = files.flatMap((file) => file.messages).flatMap(nested);

const scalars: Partial<Record<ScalarType, unknown>> = {
  [ScalarType.STRING]: 'a word',
  [ScalarType.BYTES]: hash,
  [ScalarType.BOOL]: true,
  [ScalarType.DOUBLE]: 0.5,
  [ScalarType.FLOAT]: 0.5,
  [ScalarType.UINT64]: 7n,
  [ScalarType.INT64]: 7n,
};
const ofScalar = (type: ScalarType): unknown => scalars[type] ?? 7;
const ofEnum = ({ values }: DescEnum): number => values.at(-1)!.number;

/** A value for the field that no default leaves out; deep down nothing, where messages hold each other. */
function filled(field: DescField, depth: number): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return ofScalar(field.scalar);
    case 'enum':
      return ofEnum(field.enum);
    case 'message':
      return exampleOf(field.message, depth + 1);
    case 'list':
      return field.listKind === 'message'
        ? [exampleOf(field.message, depth + 1)]
        : [field.listKind === 'enum' ? ofEnum(field.enum) : ofScalar(field.scalar)];
    case 'map':
      return field.mapKind === 'message'
        ? { key: exampleOf(field.message, depth + 1) }
        : { key: field.mapKind === 'enum' ? ofEnum(field.enum) : ofScalar(field.scalar) };
  }
}

/** @param chosen of each group of alternatives the one with this number, from the first again behind the last */
function exampleOf(message: DescMessage, depth = 0, chosen = 0): object {
  const value: Record<string, unknown> = {};
  if (depth > 4) return value;
  for (const field of message.fields) if (field.oneof === undefined) value[field.localName] = filled(field, depth);
  for (const { localName, fields } of message.oneofs) {
    const field = fields[chosen % fields.length]!;
    value[localName] = { case: field.localName, value: filled(field, depth) };
  }
  return value;
}
const examplesOf = (message: DescMessage): Uint8Array[] => {
  const count = Math.max(1, ...message.oneofs.map(({ fields }) => fields.length));
  return Array.from({ length: count }, (_, chosen) =>
    toBinary(message, create(message, exampleOf(message, 0, chosen) as never)),
  );
};

const messageTargets = messages.map((schema) =>
  decoder(
    `wire: ${schema.typeName.replace('weft.v1.', '')}`,
    0.5,
    examplesOf(schema),
    ['WEFT_MESSAGE_MALFORMED'],
    (bytes) => {
      parseBody(schema, bytes);
      return undefined;
    },
  ),
);

const sealed = sealEnvelope(domains.update, proto.UpdateSchema, { weight: 3n, payloadBytes: 12n }, identity);
const signedEnvelope = decoder(
  'signed envelope',
  1,
  [toBinary(proto.EnvelopeSchema, sealed)],
  ['WEFT_SIGNATURE_INVALID', 'WEFT_MESSAGE_MALFORMED'],
  (bytes) => {
    let envelope: proto.Envelope;
    try {
      envelope = fromBinary(proto.EnvelopeSchema, bytes);
    } catch {
      return undefined;
    }
    openEnvelope(domains.update, proto.UpdateSchema, envelope, identity.publicKey);
    demand(sameBytes(envelope.body, sealed.body), 'a signature holds over another body');
    return undefined;
  },
);

const federationId = toFederationId(identity.publicKey);
const digest = Buffer.from(hash).toString('hex');
const spec = parseRunSpec({
  name: 'run',
  baseModel: { name: 'm', sha256: digest },
  adapter: {},
  training: { steps: 1 },
  aggregation: { mode: 'secure', weighting: 'uniform' },
  cohort: { minimum: 11, maximum: 20 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 1, adaptiveClipping: true },
  rounds: 4,
});

/** Signed by whoever may, and then what it likes: the signature is made anew over the damaged body. */
type Domain = (typeof domains)[keyof typeof domains];
const signedAnew = (domain: Domain, body: Uint8Array): proto.Envelope => {
  const envelope = sealEnvelope(domain, proto.ReceiptSchema, {}, identity);
  return { ...envelope, body, signature: identity.sign(signedBytes(domain, body)) };
};
const offer = {
  federationId,
  runId: `r_${digest.slice(0, 32)}`,
  round: 2,
  kind: proto.OfferKind.TRAIN,
  runSpec: runSpecBytes(spec),
  baseModelSha256: digest,
  baseModelFiles: [{ name: 'config.json', sha256: digest, sizeBytes: 5n }],
  layoutSha256: digest,
  adapter: { name: 'adapter_model.safetensors', sha256: digest, sizeBytes: 5n },
  factor: proto.Factor.B,
  batchSeed: 7n,
  clipNormL2: spec.aggregation.clipNormL2,
};
const federation = {
  version: 1 as const,
  address: 'localhost:1',
  federationId,
  federationName: 'fuzz',
  coordinatorKey: identity.publicKey,
  certificates: [],
  nodeId: toNodeId(hash),
  nodeName: 'one',
  organisation: '',
};
const roundOffer = decoder(
  'round offer',
  0.5,
  [toBinary(proto.RoundOfferSchema, create(proto.RoundOfferSchema, offer))],
  ['WEFT_MESSAGE_MALFORMED', 'WEFT_WRONG_FEDERATION', 'WEFT_SPEC_INVALID', 'WEFT_NODE_OFFER_INVALID'],
  (bytes) => {
    openOffer(signedAnew(domains.roundOffer, bytes), federation);
    return undefined;
  },
);
const renewal = decoder(
  'certificate renewal',
  0.5,
  [toBinary(proto.CertificateBodySchema, create(proto.CertificateBodySchema, { federationId, certificateDer: hash }))],
  ['WEFT_MESSAGE_MALFORMED', 'WEFT_WRONG_FEDERATION'],
  (bytes) => {
    const envelope = signedAnew(domains.certificate, bytes);
    openCertificateRenewal(create(proto.CertificateRenewalSchema, { envelope }), identity.publicKey);
    return undefined;
  },
);

/** Each value of a spec by its path, for another one to stand there. */
const pathsOf = (value: unknown, path: readonly string[] = []): (readonly string[])[] =>
  typeof value === 'object' && value !== null
    ? [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))]
    : [path];
const replaced = (value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown =>
  key === undefined
    ? by
    : Object.assign(Array.isArray(value) ? [...value] : { ...(value as object) }, {
        [key]: replaced((value as Record<string, unknown>)[key], rest, by),
      });
const anyValue = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(Number.NaN, Infinity, -1, 0, 2 ** 53, 1e308, 5e-324, '', '__proto__', null, undefined),
);
const runSpec = fuzzTarget(
  'run spec, a value in it replaced',
  0.5,
  fc.record({ path: fc.constantFrom(...pathsOf(spec)), by: anyValue }),
  ({ path, by }) =>
    takes(() => {
      const read = parseRunSpec(replaced(spec, path, by));
      demand(
        sameBytes(
          runSpecBytes(parseRunSpec(JSON.parse(Buffer.from(runSpecBytes(read)).toString()))),
          runSpecBytes(read),
        ),
        'a spec is not read again as it was written',
      );
    }, ['WEFT_SPEC_INVALID']),
);

/** What the other side says of its error, in the trailers of a call or in a signed Refusal, as a person is shown it. */
const isShown = (message: string): boolean =>
  message.length <= 2000 && !/[\p{Cc}\p{Cf}]/u.test(message.replaceAll('\n', ''));
const refusals = fuzzTarget(
  'refusal, and the trailers of a call',
  0.5,
  fc.record({
    code: fc.oneof(fc.constantFrom(...errorCodes), fc.string()),
    message: fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('a\u202e\u001b'.repeat(2000))),
  }),
  ({ code, message }) => {
    const refused = fromRefusal({ code, message });
    const failed = fromGrpcStatus({ code: 3, details: message, metadata: { get: () => [code] } });
    const isKnown = (errorCodes as readonly string[]).includes(code);
    demand(isKnown === (failed !== undefined), 'a code that is none, or one that was lost');
    demand(isKnown ? refused.code === code : refused.code === 'WEFT_INTERNAL', 'another code than was said');
    demand(isShown(refused.message) && isShown(failed?.message ?? ''), 'words that can steer a terminal');
    return isKnown;
  },
);

export const wireTargets: readonly FuzzTarget[] = [
  ...messageTargets,
  signedEnvelope,
  roundOffer,
  renewal,
  runSpec,
  refusals,
];
