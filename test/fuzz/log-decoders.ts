import { create, toBinary } from '@bufbuild/protobuf';
import { LogProofSchema, LogSeenSchema } from '@weft/proto';
import { fromLogProof } from '@weft/node-agent';
import { endorse, log, merkle, parseBody, toFederationId } from '@weft/shared';
import { decoder, hash, identity, other, text, utf8 } from './decoder.ts';
import { bytesLike } from './damage.ts';
import { demand, type FuzzTarget, fuzzTarget, sameBytes, takes } from './target.ts';

/** The transparency log: its files, and what a coordinator and a node tell each other of it. */

const ofRound = { at: 1n, runId: hash.subarray(0, 16), round: 2 };
const leafExamples = [
  log.encodeLeaf('enrol', { at: 1n, node: hash, organisation: hash }),
  log.encodeLeaf('roster', { ...ofRound, members: 3, memberRoot: hash, advertRoot: hash }),
  log.encodeLeaf('cut', { ...ofRound, cutHash: hash, inputRoot: hash, surviving: 3, dropped: 1 }),
  log.encodeLeaf('abort', { ...ofRound, code: Buffer.from('WEFT_SECAGG_ABORTED') }),
];
const treeOf = (leaves: readonly Uint8Array[]): log.LogTree => {
  const grown = new log.LogTree();
  for (const leaf of leaves) grown.append(merkle.leafHash(leaf));
  return grown;
};
const tree = treeOf(leafExamples);
const federationId = toFederationId(identity.publicKey);
const origin = log.logOrigin(federationId);
const checkpoint = log.formatCheckpoint({ origin, ...tree.head(), extensions: ['more'] });
const note = log.signNote(checkpoint, log.verifierKey(origin, identity.publicKey), (message) => identity.sign(message));
const cosigned = log.formatNote(note);
const witnesses = log.formatWitnesses(
  [endorse(other, federationId, identity.publicKey), new Uint8Array()].map((endorsement, k) => {
    const nodeKey = [identity, other][k]!.publicKey;
    const key = log.witnessKeyOf(nodeKey, other.publicKey);
    return { key, nodeKey, nodeSignature: log.signWitnessKey(identity, federationId, other.publicKey), endorsement };
  }),
);
const proof = log.formatProof(1, [hash, hash], cosigned);
const digest = Buffer.from(hash).toString('hex');
const manifest = log.formatManifest({
  version: 1,
  runId: `r_${digest.slice(0, 32)}` as never,
  round: 1,
  until: 5,
  offer: digest as never,
  invited: [digest],
  messages: [{ kind: 'keyAdvert', body: digest as never, signature: digest.repeat(2) }, { kind: 'deadline' }],
  inputs: [{ publicKey: digest, update: digest as never, signature: digest.repeat(2), vector: digest as never }],
  previousAdapter: digest as never,
});

const fileTargets = [
  decoder('log: signed note', 4, [utf8(cosigned)], ['WEFT_LOG_MALFORMED'], (bytes) =>
    utf8(log.formatNote(log.parseNote(bytes))),
  ),
  decoder(
    'log: verifier key',
    2,
    [utf8(log.formatVerifierKey(log.verifierKey(origin, identity.publicKey)))],
    ['WEFT_LOG_MALFORMED'],
    (bytes) => {
      log.parseVerifierKey(text(bytes));
      return undefined;
    },
  ),
  decoder('log: checkpoint', 4, [utf8(checkpoint)], ['WEFT_LOG_MALFORMED'], (bytes) => {
    const given = text(bytes);
    demand(log.formatCheckpoint(log.parseCheckpoint(given)) === given, 'a checkpoint has two forms');
    return undefined;
  }),
  decoder('log: list of witnesses', 4, [utf8(witnesses)], ['WEFT_LOG_MALFORMED'], (bytes) =>
    utf8(log.formatWitnesses(log.parseWitnesses(bytes))),
  ),
  decoder('log: proof', 3, [utf8(proof)], ['WEFT_LOG_MALFORMED'], (bytes) => {
    log.parseProof(bytes);
    return undefined;
  }),
  decoder('log: leaf', 4, leafExamples, ['WEFT_LOG_MALFORMED'], (bytes) => {
    const { name, version: _version, type: _type, ...body } = log.decodeLeaf(bytes);
    return log.encodeLeaf(name, body);
  }),
  decoder('log: bundle of entries', 4, [log.encodeBundle(leafExamples)], ['WEFT_LOG_MALFORMED'], (bytes) =>
    log.encodeBundle(log.decodeBundle(bytes, leafExamples.length)),
  ),
  decoder('log: manifest of a published round', 1, [utf8(manifest)], ['WEFT_LOG_MALFORMED'], (bytes) => {
    log.parseManifest(bytes);
    return undefined;
  }),
];

/** A round that a member is shown, of a log of which it had seen two entries. */
const updates = [hash, hash.map((byte) => byte + 1), hash.map((byte) => byte + 2)];
const result = log.encodeLeaf('result', {
  ...ofRound,
  previousAdapter: hash,
  adapterHash: updates[1]!,
  updates: updates.length,
  updateRoot: log.sortedRoot(updates),
  weightSum: 3n,
  gate: 0,
  nextClipNorm: log.floatBits(1.5),
});
const entries = [...leafExamples, result];
const whole = treeOf(entries);
const updateTree = treeOf(updates);
const placed = (place: number) => ({
  leaf: entries[place]!,
  path: { place: BigInt(place), size: BigInt(whole.size), hashes: whole.inclusionProof(place) },
});
const shown = {
  runId: `r_${Buffer.from(ofRound.runId).toString('hex')}`,
  round: ofRound.round,
  checkpoint: utf8(
    log.formatNote(
      log.signNote(
        log.formatCheckpoint({ origin, ...whole.head(), extensions: [] }),
        log.verifierKey(origin, identity.publicKey),
        (message) => identity.sign(message),
      ),
    ),
  ),
  fromSize: 2n,
  consistency: whole.consistencyProof(2),
  leaves: [placed(2), placed(4)],
  update: { place: 1n, size: 3n, hashes: updateTree.inclusionProof(1) },
  adapter: placed(4),
};
const own = {
  runId: ofRound.runId,
  round: ofRound.round,
  adapterHash: hash,
  updateHash: updates[1]!,
  cut: { cutHash: hash, inputRoot: hash },
  mayBeLeftOut: false,
};

/** Whatever is shown, a node believes nothing but what the one signed log holds. */
const shownProof = fuzzTarget(
  'log: what a node is shown',
  1,
  bytesLike([toBinary(LogProofSchema, create(LogProofSchema, shown))]),
  (bytes) => {
    let isTaken = false;
    takes(() => {
      const { head: given, round, adapter } = fromLogProof(parseBody(LogProofSchema, bytes));
      const verdict = log.readShownHead(given, identity.publicKey, whole.head(2));
      if (verdict.verdict !== 'grew') return;
      const { head } = verdict;
      demand(sameBytes(head.root, whole.head().root), 'a head that nobody signed');
      const isLogged = ({ leaf, path }: log.ShownLeaf): boolean => sameBytes(entries[path.place] ?? hash, leaf);
      const ended = log.readShownRound(round, head, own);
      if (ended.verdict === 'holds') demand(round.leaves.every(isLogged), 'a leaf that is not in the log');
      if (ended.verdict === 'holds' && ended.end === 'result') demand(!ended.leftOut, 'a result without this node');
      const named = adapter && log.readShownAdapter(adapter, head, own.runId);
      if (typeof named === 'object')
        demand(isLogged(adapter!) && sameBytes(named.adapterHash, updates[1]!), 'an adapter that no result brought');
      isTaken = ended.verdict === 'holds' && typeof named === 'object';
    }, ['WEFT_MESSAGE_MALFORMED']);
    return isTaken;
  },
);

/** A witness and its cosignature: as the coordinator reads them. */
const witnessKey = log.witnessKeyOf(identity.publicKey, other.publicKey);
const said = {
  logSize: BigInt(whole.size),
  awaited: [{ runId: shown.runId, round: 1 }],
  adapters: [shown.runId],
  witness: {
    verifierKey: log.formatVerifierKey(witnessKey),
    signature: log.signWitnessKey(identity, federationId, other.publicKey),
  },
  cosignature: log.cosignatureOf(note.text, (message) => other.sign(message), 9n),
};
const saidSeen = fuzzTarget(
  'log: what a node says of it',
  1,
  bytesLike([toBinary(LogSeenSchema, create(LogSeenSchema, said))]),
  (bytes) => {
    let isTaken = false;
    takes(() => {
      const { witness, cosignature } = parseBody(LogSeenSchema, bytes);
      const key = witness && log.readWitnessKey(witness.verifierKey);
      if (key === undefined) return;
      const claimed = { key, nodeKey: identity.publicKey, nodeSignature: witness!.signature, endorsement: hash };
      if (!log.witnessHolds(claimed, federationId)) return;
      const isSigned =
        sameBytes(key.publicKey, other.publicKey) && sameBytes(witness!.signature, said.witness.signature);
      demand(isSigned, 'a witness key that its node has not signed');
      isTaken = log.checkNote(log.withSignature(note, key, cosignature), key) === 'good';
      if (isTaken) demand(sameBytes(cosignature, said.cosignature), 'a cosignature that nobody made');
    }, ['WEFT_MESSAGE_MALFORMED']);
    return isTaken;
  },
);

export const logTargets: readonly FuzzTarget[] = [...fileTargets, shownProof, saidSeen];
