import { UpdateSchema } from '@weft/proto';
import {
  domains,
  factorSize,
  log,
  parseBody,
  secagg,
  sha256,
  updateEncoding,
  verifyBody,
  type AdapterLayout,
  type NodeId,
  type RunId,
  type RunSpec,
  type TrainedFactor,
} from '@weft/shared';
import { aggregateRound, type AggregateContext } from '../runs/aggregate-round.ts';
import type { BlobInfo } from '../store/events.ts';
import { requireClipNorm, requireNextClipNorm } from './clip-norm.ts';
import { coordinator, hex, maxVectorBytes, readBody, readManifest, Refuted, type ReadPublished } from './evidence.ts';
import { replaySession, requireSame, type ReplayedSession, type SecureRoundLeaves } from './replay-session.ts';

export interface RoundToRecompute {
  readonly runId: RunId;
  readonly spec: RunSpec;
  readonly leaves: SecureRoundLeaves;
  readonly read: ReadPublished;
  /** Undefined where the base model is not at hand: then the sum is not applied. */
  readonly layout: AdapterLayout | undefined;
  /** Of the server optimizer after the round before, as it was recomputed; undefined before the first. */
  readonly momentum: BlobInfo | undefined;
  /** What its updates are clipped to, by spec and log. */
  readonly clipNormL2: number;
  readonly context: AggregateContext;
}

/**
 * One published round, from signatures to the adapter.
 * @returns the optimizer's momentum after it, for the round that follows
 * @throws Refuted, NotThere, WEFT_LOG_MALFORMED
 */
export async function* recomputeRound(round: RoundToRecompute): AsyncGenerator<log.Finding, BlobInfo | undefined> {
  const { runId, leaves, read, context, clipNormL2 } = round;
  const { leaf: result, entry } = leaves.result;
  const manifest = await readManifest(read, runId, result.round);
  const session = await replay(round, manifest);
  requireClipNorm(session.offer.clipNormL2, clipNormL2, leaves.offer);
  yield {
    verdict: 'holds',
    claim: `round ${result.round + 1}: ${session.members.length} members signed the offer, and with it the spec that publishes; what they signed makes roster, cut and opening`,
    entry,
    runId,
  };
  const opened = takeMasks(session, entry);
  // A shard whose sum was refused has no part in the adapter, and its vectors are not published.
  const published = new Set(manifest.inputs.map(({ publicKey }) => publicKey));
  const shards = opened.filter(({ summed }) =>
    summed.some((place) => published.has(hex(session.members[place]!.identityKey))),
  );
  if (shards.length < opened.length) {
    const claim = `round ${result.round + 1}: that the sums of ${opened.length - shards.length} of ${opened.length} shards were refused for a reason: no access to their vectors`;
    yield { verdict: 'not checked', claim, entry, runId };
  }
  const summed = shards.flatMap((shard) => shard.summed);
  const updates = await takeInputs(round, manifest, session, summed);
  yield {
    verdict: 'holds',
    claim: `round ${result.round + 1}: ${updates.size} masked updates are the ones that their members signed`,
    entry,
    runId,
  };
  if (round.layout === undefined) {
    const claim = `round ${result.round + 1}: that they add up to adapter ${hex(result.adapterHash)}: no access to the base model, name it with --model`;
    yield { verdict: 'not checked', claim, entry, runId };
    return undefined;
  }
  const factor = factors[leaves.offer.leaf.factor] ?? 'both';
  requireEncoding(round, factorSize(round.layout, factor), session.offer);
  const what = `the adapter that round ${result.round + 1} begins with`;
  const before = await context.blobs.adapters.put(
    await readBody(read, manifest.previousAdapter, { what, entry, maxBytes: maxVectorBytes }),
  );
  requireSame('adapter before', leaves.result, result.previousAdapter, Buffer.from(before.sha256, 'hex'));
  const aggregate = await aggregateRound(
    context,
    {
      spec: round.spec,
      factor,
      clipNormL2,
      runId,
      round: result.round,
      adapter: before,
      momentum: round.momentum,
    },
    round.layout,
    {
      updates,
      shards: shards.map((shard) => ({
        nodeIds: shard.summed.map((place) => session.members[place]!.nodeId),
        masks: shard.terms,
      })),
    },
  );
  for (const { payload } of updates.values()) await context.blobs.updates.remove(payload.sha256);
  requireSame('adapter', leaves.result, result.adapterHash, Buffer.from(aggregate.adapter.sha256, 'hex'));
  requireSame('sum of weights', leaves.result, result.weightSum, BigInt(aggregate.weightSum));
  const claim = `round ${result.round + 1}: unmasked, decoded and applied to the adapter before, they make adapter ${aggregate.adapter.sha256}`;
  yield { verdict: 'holds', claim, entry, runId };
  const nextNorm = requireNextClipNorm(leaves.result, clipNormL2, aggregate.withinShare);
  if (aggregate.withinShare !== undefined) {
    const moved = `round ${result.round + 1}: clipped to ${clipNormL2}, and from here on to ${nextNorm}, as the members’ masked bits say`;
    yield { verdict: 'holds', claim: moved, entry, runId };
  }
  return aggregate.momentum;
}

const factors: Readonly<Record<number, TrainedFactor>> = { 1: 'A', 2: 'B', 3: 'both' };

/** What members were offered is what the spec asks for. @throws Refuted */
function requireEncoding(
  { spec, clipNormL2, leaves: { offer: place } }: RoundToRecompute,
  values: number,
  offer: ReplayedSession['offer'],
): void {
  const { offered } = updateEncoding(spec, values, clipNormL2);
  for (const name of Object.keys(offered) as (keyof typeof offered)[])
    if (offer[name] !== offered[name])
      throw new Refuted({
        claim: `members were offered ${name} ${String(offer[name])}, the spec gives ${String(offered[name])}`,
        entry: place.entry,
        party: coordinator,
      });
}

async function replay({ leaves, read }: RoundToRecompute, manifest: log.RoundManifest): Promise<ReplayedSession> {
  const { entry } = leaves.open;
  const messages = [];
  for (const message of manifest.messages) {
    if (message.kind === 'deadline') {
      messages.push({ kind: message.kind } as const);
      continue;
    }
    if (message.kind === 'revoked') {
      messages.push({
        kind: message.kind,
        nodeId: hex(secagg.nodeIdOf(Buffer.from(message.publicKey, 'hex'))),
      } as const);
      continue;
    }
    const { kind, signature } = message;
    const what = `a message ${kind} of round ${manifest.round + 1}`;
    const body = await readBody(read, message.body, { what, entry });
    messages.push({ kind, signed: { body, signature: Buffer.from(signature, 'hex') } });
  }
  const what = `the offer of the session of round ${manifest.round + 1}`;
  return replaySession(leaves, {
    offer: await readBody(read, manifest.offer, { what, entry: leaves.offer.entry }),
    invited: manifest.invited.map((key) => Buffer.from(key, 'hex')),
    messages,
  });
}

/** From the members' openings to what takes the masks off. @throws Refuted with the member that dealt another secret */
function takeMasks({ server }: ReplayedSession, entry: number) {
  const { shards, blamed } = secagg.openCut(server);
  const [liar] = blamed;
  if (liar !== undefined)
    throw new Refuted({ claim: `n_${liar.nodeId}: ${liar.because}`, entry, party: `n_${liar.nodeId}` });
  return shards;
}

/** The vectors of all that are summed, each the one that its member signed twice: in its Update and its MaskedInput. */
async function takeInputs(
  { leaves, read, context }: RoundToRecompute,
  manifest: log.RoundManifest,
  { server, members }: ReplayedSession,
  summed: readonly number[],
): Promise<Map<NodeId, { payload: BlobInfo }>> {
  const { leaf: result, entry } = leaves.result;
  const inputOf = new Map(manifest.inputs.map((input) => [input.publicKey, input]));
  const updates = new Map<NodeId, { payload: BlobInfo }>();
  const updateHashes: Uint8Array[] = [];
  for (const place of summed) {
    const { nodeId, identityKey } = members[place]!;
    const refute = (claim: string): never => {
      throw new Refuted({ claim, entry, party: coordinator });
    };
    const input = inputOf.get(hex(identityKey)) ?? refute(`the update of ${nodeId} is summed and not published`);
    const body = await readBody(read, input.update, { what: `the signed update of ${nodeId}`, entry });
    if (!verifyBody(domains.update, body, Buffer.from(input.signature, 'hex'), identityKey))
      refute(`the update of ${nodeId} is not signed by it`);
    const update = parseBody(UpdateSchema, body);
    if (update.payloadSha256 !== input.vector)
      refute(`the vector that is published for ${nodeId} is not the one that its update names`);
    updateHashes.push(Buffer.from(sha256(body), 'hex'));
    const what = `the masked vector of ${nodeId} in round ${result.round + 1}`;
    const vector = await readBody(read, input.vector, { what, entry, maxBytes: maxVectorBytes });
    const signed = secagg.decodeBody('maskedInput', server.inputs.get(place)!.body);
    const root = new secagg.ChunkRoot();
    root.add(vector);
    if (hex(root.root()) !== hex(signed.chunkRoot) || BigInt(vector.length) !== signed.lengthBytes)
      refute(`${what} does not have the chunk root that ${nodeId} signed`);
    updates.set(nodeId, { payload: await context.blobs.updates.put(vector) });
  }
  requireSame('number of updates', leaves.result, result.updates, updates.size);
  requireSame('root over updates', leaves.result, result.updateRoot, log.sortedRoot(updateHashes));
  return updates;
}
