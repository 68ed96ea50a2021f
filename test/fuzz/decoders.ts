import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import * as proto from '@weft/proto';
import { encodeCharge, formatJournal, parseJournal, parseLedger, parsePolicy } from '@weft/node-agent';
import {
  endorse,
  endorsementText,
  formatInvite,
  modelSigning,
  parseEndorsement,
  parseInvite,
  parseModelStatement,
  readEndorsement,
  privacy,
  secagg,
  signModel,
} from '@weft/shared';
import fc from 'fast-check';
import { decoder, hash, identity, other, text, utf8 } from './decoder.ts';
import { bytesLike } from './damage.ts';
import { demand, type FuzzTarget, fuzzTarget, sameBytes } from './target.ts';

/** Files, notes and messages that somebody else wrote: of each an honest example, and the errors that may refuse it. */

const trunk = signedModel();
function signedModel(): string {
  const files = [{ path: 'adapter_config.json', sha256: Buffer.from(hash).toString('hex') }];
  return modelSigning.signFiles({ name: 'adapter', files } as never, identity);
}
const envelopeOf = (payload: Uint8Array): Uint8Array => {
  const { dsseEnvelope, ...rest } = JSON.parse(trunk) as { dsseEnvelope: Record<string, unknown> };
  return utf8(
    JSON.stringify({ ...rest, dsseEnvelope: { ...dsseEnvelope, payload: Buffer.from(payload).toString('base64') } }),
  );
};
const payloadOf = (): Uint8Array =>
  new Uint8Array(
    Buffer.from((JSON.parse(trunk) as { dsseEnvelope: { payload: string } }).dsseEnvelope.payload, 'base64'),
  );
const readBundle = (bytes: Uint8Array): undefined => {
  modelSigning.parseBundle(bytes);
  return undefined;
};
const modelTargets = [
  decoder('model signature: bundle', 2, [utf8(trunk)], ['WEFT_STATEMENT_MALFORMED'], readBundle),
  decoder('model signature: statement', 2, [payloadOf()], ['WEFT_STATEMENT_MALFORMED'], (bytes) =>
    readBundle(envelopeOf(bytes)),
  ),
  decoder(
    "a publisher's word for a model",
    2,
    [utf8(signModel(other, Buffer.from(hash).toString('hex') as never))],
    ['WEFT_MODEL_STATEMENT_INVALID'],
    (bytes) => {
      parseModelStatement(text(bytes));
      return undefined;
    },
  ),
];

const policy = `secureAggregation: required
trustedOrganisations:
  - ${'ab'.repeat(32)}
smallestCohort: 5
leastExamples: 10
`;
const charge = {
  at: '2026-01-01T00:00:00.000Z',
  dataSet: 'notes',
  federationId: 'f_fuzz',
  runId: 'r_fuzz',
  runName: 'a run, {of} "braces"',
  round: 1,
  payloadSha256: Buffer.from(hash).toString('hex'),
  noiseMultiplier: 1,
  spending: privacy.nothingSpent(),
};
const firstCharge = utf8(encodeCharge(parseLedger(new Uint8Array()), charge));
const ledger = Buffer.concat([firstCharge, utf8(encodeCharge(parseLedger(firstCharge), { ...charge, round: 2 }))]);
const journal = formatJournal({
  lastRound: 1,
  memberKeys: [hash, hash],
  memberEndorsements: [hash],
  beganS: 1,
  checkpoint: { size: 1, root: hash },
  events: [
    { kind: 'offer', signed: { body: hash, signature: hash }, consistency: [hash], secret: hash },
    { kind: 'roster', body: hash },
    { kind: 'masked', chunkRoot: hash, lengthBytes: 8 },
    { kind: 'cut', signed: { body: hash, signature: hash }, proof: { place: 1, proof: [hash] } },
    { kind: 'tick' },
  ],
});

const nodeFiles = [
  decoder('policy file', 0.3, [utf8(policy)], ['WEFT_POLICY_INVALID'], (bytes) => {
    parsePolicy(text(bytes));
    return undefined;
  }),
  decoder('privacy ledger', 3, [new Uint8Array(ledger)], ['WEFT_PRIVACY_LEDGER_DAMAGED'], (bytes) => {
    // Lines are chained: what is read is a beginning of what was written, however the rest was changed.
    const { charges } = parseLedger(bytes);
    demand(charges.length <= 2 && charges.every(({ round }, k) => round === k + 1), 'a charge that nobody wrote');
    return undefined;
  }),
  fuzzTarget('session journal', 2, bytesLike([utf8(journal)]), (bytes) => {
    const read = parseJournal(text(bytes));
    demand(read === undefined || parseJournal(formatJournal(read)) !== undefined, 'a journal that cannot be written');
    return read !== undefined;
  }),
];

const invite = {
  protocolVersion: 1,
  federationId: 'f_fuzz',
  coordinatorKey: hash,
  token: hash,
  certificateDer: new Uint8Array(40),
  address: 'localhost:7000',
};
const inviteText = formatInvite(invite);
const inviteBody = toBinary(proto.InviteSchema, create(proto.InviteSchema, invite));
const withChecksum = (body: Uint8Array): string => {
  const checksum = createHash('sha256').update(body).digest().subarray(0, 4);
  return `weft1_${Buffer.concat([body, checksum]).toString('base64url')}`;
};
const inviteCodes = ['WEFT_INVITE_MALFORMED', 'WEFT_PROTOCOL_VERSION'] as const;

const ringWidths = [8, 11, 16, 18, 23, 31, 32] as const;
const packed = ringWidths.map((bits) => {
  const ringWords = secagg.ringWords(bits, 13);
  for (let i = 0; i < ringWords.length; i++) ringWords[i] = Math.imul(0x9e37_79b9, i + 1);
  secagg.reduceWords(ringWords, bits);
  return secagg.packWords(ringWords, bits);
});

/** An update as the coordinator reads it: whole or in pieces it is the same words, which pack to the same bytes. */
const packedWords = fuzzTarget(
  'packed ring words',
  2,
  fc.record({ bytes: bytesLike(packed), bits: fc.constantFrom(...ringWidths), cut: fc.nat({ max: 60 }) }),
  ({ bytes, bits, cut }) => {
    const length = Math.floor((8 * bytes.length) / bits);
    const whole = secagg.unpackWords(bytes, length, bits);
    const unpacker = new secagg.WordUnpacker(bits, length);
    const read: number[] = [];
    let isWhole = true;
    try {
      read.push(...unpacker.read(bytes.subarray(0, cut)), ...unpacker.read(bytes.subarray(cut)));
      unpacker.end();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      isWhole = false;
    }
    demand(isWhole === (whole !== undefined), 'pieces are taken, and the whole is not, or the other way round');
    if (whole === undefined) return false;
    demand(whole.length === read.length && whole.every((word, i) => word === read[i]), 'pieces hold other words');
    demand(sameBytes(secagg.packWords(whole, bits), bytes), 'what was read is written in another way');
    return true;
  },
);

const otherKey = Buffer.from(other.publicKey).toString('hex');
const endorsed = endorse(other, 'f_fuzz', identity.publicKey, 1_900_000_000);
const words = [
  packedWords,
  fuzzTarget("an organisation's word for a node", 1, bytesLike([endorsed]), (bytes) => {
    // Keys that nobody holds sign for anything (points of small order); this one is held.
    const isOthers = readEndorsement(bytes, 'f_fuzz', identity.publicKey)?.organisation === otherKey;
    demand(isOthers === sameBytes(bytes, endorsed), 'a word that nobody gave, or one that was lost');
    return isOthers;
  }),
  decoder(
    'endorsement',
    3,
    [utf8(endorsementText(endorse(other, 'f_fuzz', hash)))],
    ['WEFT_ENDORSEMENT_INVALID'],
    (bytes) => {
      const given = text(bytes).trim();
      demand(endorsementText(parseEndorsement(given)) === given, 'an endorsement has two forms');
      return undefined;
    },
  ),
  decoder('invite', 3, [utf8(inviteText)], inviteCodes, (bytes) => {
    parseInvite(text(bytes));
    return undefined;
  }),
  decoder('invite, its checksum made to match', 3, [inviteBody], inviteCodes, (bytes) => {
    parseInvite(withChecksum(bytes));
    return undefined;
  }),
];

export const decoderTargets: readonly FuzzTarget[] = [...modelTargets, ...nodeFiles, ...words];
