import type { MessageInitShape } from '@bufbuild/protobuf';
import type { LogProofSchema, LogSeen } from '@weft/proto';
import { isRunId, log, merkle, WeftError, type FederationId, type NodeId, type RunId } from '@weft/shared';
import type { Logger } from 'pino';
import type { NodeGateway } from '../federation/ports.ts';
import type { Store } from '../store/store.ts';
import { createCosignatures, witnessOf } from './cosignatures.ts';
import type { PlacedLeaf, TransparencyLog } from './transparency-log.ts';

/** Nodes that look after the log: each is shown where its rounds stand in it, witnesses every checkpoint. */
export interface LogWatchers {
  /** How far a node says it has seen the log, with whatever message. */
  told(nodeId: NodeId, size: number): void;
  /** @returns whether it has seen another part than was thought: what was sent meanwhile proves nothing to it */
  take(nodeId: NodeId, said: LogSeen): { readonly astray: boolean };
  gone(nodeId: NodeId): void;
  /** From what this node has seen to the head that an offer names, or back to it. */
  offerProof(nodeId: NodeId, size: number): { readonly fromSize: number; readonly proof: Uint8Array[] };
  close(): void;
}

export interface LogWatchersOptions {
  readonly transparencyLog: TransparencyLog;
  readonly store: Store;
  readonly gateway: Pick<NodeGateway, 'send'>;
  readonly federationId: FederationId;
  readonly registry: {
    publicKey(id: NodeId): Uint8Array | undefined;
    endorsement(id: NodeId): Uint8Array;
  };
  readonly logger: Logger;
}

/** Rounds and runs that one message may ask about: a node that was away for more asks again. */
const maxQuestions = 64;
/** Rounds whose update hashes are kept for the members that are still to be shown them. */
const keptRounds = 4;

/** A run and round, or only the checkpoint. */
interface Due {
  readonly runId?: RunId;
  readonly round?: number;
}
const keyOf = ({ runId = '' as RunId, round = 0 }: Due): string => `${runId}/${round}`;

export async function createLogWatchers(options: LogWatchersOptions): Promise<LogWatchers> {
  const { transparencyLog, store, gateway, federationId, registry, logger } = options;
  /** Sessions' nodes, by what they have seen or will have once they have read what is on its way. */
  const seen = new Map<NodeId, number>();
  const due = new Map<NodeId, Map<string, Due>>();
  /** Runs of which a node awaits the leaf that names the adapter; it is shown when it is on the disk. */
  const asked = new Map<NodeId, Set<RunId>>();
  const witnesses = new Map<NodeId, log.Witness>();
  /** Once a checkpoint and node, whichever witness key it announces: what comes again costs nothing. */
  const cosignedSizes = new Map<NodeId, number>();
  const updates = new Map<string, RoundUpdates>();
  const cosignatures = createCosignatures({
    federationId,
    noteOf: (size) => transparencyLog.noteOf(size),
    known: await knownWitnesses(transparencyLog, logger),
  });

  const updatesOf = (runId: RunId, round: number): RoundUpdates => {
    const key = keyOf({ runId, round });
    const found = updates.get(key) ?? readUpdates(store, runId, round);
    // What is not over yet may still gain updates.
    if (found.result !== undefined) updates.set(key, found);
    for (const old of [...updates.keys()].slice(0, -keptRounds)) updates.delete(old);
    return found;
  };

  const toShown =
    (size: number) =>
    ({ place, bytes }: PlacedLeaf) => ({
      leaf: bytes,
      path: { place: BigInt(place), size: BigInt(size), hashes: transparencyLog.inclusionProof(place, size) },
    });
  /** With the head that it is in. @returns whether it left */
  const send = (
    nodeId: NodeId,
    { size, note }: NonNullable<ReturnType<TransparencyLog['shown']>>,
    about: Pick<MessageInitShape<typeof LogProofSchema>, 'runId' | 'round' | 'leaves' | 'update' | 'adapter'>,
  ): boolean => {
    const fromSize = seen.get(nodeId) ?? 0;
    const proof: MessageInitShape<typeof LogProofSchema> = {
      ...about,
      checkpoint: Buffer.from(log.formatNote(note)),
      fromSize: BigInt(fromSize),
      consistency: transparencyLog.consistencyProof(fromSize, size),
    };
    if (!gateway.send(nodeId, { case: 'logProof', value: proof })) return false;
    seen.set(nodeId, size);
    return true;
  };

  const show = (nodeId: NodeId): void => {
    const shown = transparencyLog.shown();
    const from = seen.get(nodeId) ?? 0;
    // An offer may have named a head that is not on the disk yet; then its leaves are not shown before.
    if (shown === undefined || from > shown.size) return;
    const all = [...(due.get(nodeId)?.values() ?? [])];
    const ended = all.filter(({ runId }) => runId !== undefined);
    due.delete(nodeId);
    // Every proof shows the checkpoint.
    for (const { runId, round = 0 } of ended.length > 0 ? ended : all) {
      const leaves =
        runId === undefined ? [] : transparencyLog.endOf(runId, round).filter(({ place }) => place < shown.size);
      if (runId !== undefined && leaves.length === 0) continue;
      const isOver = leaves.some(({ bytes }) => log.decodeLeaf(bytes).name === 'result');
      const update = runId !== undefined && isOver ? updatesOf(runId, round).result?.pathOf(nodeId) : undefined;
      const proof = { runId: runId ?? '', round, leaves: leaves.map(toShown(shown.size)), ...(update && { update }) };
      if (!send(nodeId, shown, proof)) return;
    }
    for (const runId of asked.get(nodeId) ?? []) {
      const leaf = transparencyLog.adapterOf(runId);
      if (leaf === undefined || leaf.place >= shown.size) continue;
      if (!send(nodeId, shown, { runId, round: leaf.round, adapter: toShown(shown.size)(leaf) })) return;
      asked.get(nodeId)?.delete(runId);
    }
  };
  const owe = (nodeId: NodeId, ...more: readonly Due[]): void => {
    const rounds = due.get(nodeId) ?? new Map<string, Due>();
    for (const round of more) rounds.set(keyOf(round), round);
    due.set(nodeId, rounds);
  };

  const unsubscribe = transparencyLog.onWritten(({ from, size }) => {
    for (let place = from; place < size; place++) {
      const ended = transparencyLog.roundAt(place);
      if (ended === undefined) continue;
      for (const nodeId of updatesOf(ended.runId, ended.round).members) if (seen.has(nodeId)) owe(nodeId, ended);
    }
    for (const nodeId of witnesses.keys()) if (!due.has(nodeId)) owe(nodeId, {});
    for (const nodeId of new Set([...due.keys(), ...asked.keys()])) show(nodeId);
  });

  const cosign = (nodeId: NodeId, witness: log.Witness, size: number, signature: Uint8Array): void => {
    if (size > (transparencyLog.shown()?.size ?? 0) || size <= (cosignedSizes.get(nodeId) ?? 0)) return;
    const kept = cosignatures.add(witness, size, signature);
    if (kept === undefined) {
      logger.warn({ nodeId, logSize: size }, 'a cosignature does not hold');
      return;
    }
    cosignedSizes.set(nodeId, size);
    void transparencyLog.keepCosigned(kept);
  };

  return {
    told(nodeId, size) {
      if (!seen.has(nodeId)) seen.set(nodeId, size);
    },
    take(nodeId, { logSize, awaited, adapters, witness: announced, cosignature, astray: says }) {
      const size = Number(logSize);
      const questions = awaited.length + adapters.length;
      if (!Number.isSafeInteger(size) || questions > maxQuestions)
        throw new WeftError(
          'WEFT_MESSAGE_MALFORMED',
          `a node asks about ${questions} rounds, at most ${maxQuestions} are answered at once`,
        );
      // Else it has read a proof that another one is already behind.
      const astray = says && seen.has(nodeId);
      if (says || !seen.has(nodeId)) seen.set(nodeId, size);
      for (const { runId, round } of awaited) if (isRunId(runId)) owe(nodeId, { runId, round });
      asked.set(nodeId, new Set(adapters.filter(isRunId)));
      const publicKey = registry.publicKey(nodeId);
      if (announced !== undefined && publicKey !== undefined) {
        const node = { nodeId, publicKey, endorsement: registry.endorsement(nodeId) };
        const before = witnesses.get(nodeId);
        const witness = isSame(before, announced, node) ? before : witnessOf(announced, node, federationId);
        if (witness === undefined)
          throw new WeftError('WEFT_MESSAGE_MALFORMED', `${nodeId} has not signed the witness key that it announces`);
        if (!witnesses.has(nodeId)) owe(nodeId, {});
        witnesses.set(nodeId, witness);
        if (cosignature.length > 0) cosign(nodeId, witness, size, cosignature);
      }
      show(nodeId);
      return { astray };
    },
    gone(nodeId) {
      for (const known of [seen, due, asked, witnesses]) known.delete(nodeId);
    },
    offerProof(nodeId, size) {
      const fromSize = seen.get(nodeId) ?? 0;
      seen.set(nodeId, Math.max(fromSize, size));
      const [older, newer] = fromSize < size ? [fromSize, size] : [size, fromSize];
      return { fromSize, proof: transparencyLog.consistencyProof(older, newer) };
    },
    close: unsubscribe,
  };
}

const isSame = (
  witness: log.Witness | undefined,
  { verifierKey, signature }: { readonly verifierKey: string; readonly signature: Uint8Array },
  { endorsement }: { readonly endorsement: Uint8Array },
): witness is log.Witness =>
  witness !== undefined &&
  log.formatVerifierKey(witness.key) === verifierKey &&
  Buffer.from(witness.nodeSignature).equals(signature) &&
  Buffer.from(witness.endorsement).equals(endorsement);

/** A damaged list is begun anew: every witness announces itself at its next session. */
async function knownWitnesses(transparencyLog: TransparencyLog, logger: Logger): Promise<log.Witness[]> {
  try {
    return await transparencyLog.readWitnesses();
  } catch (error) {
    logger.warn({ err: error }, 'the list of witnesses was damaged, and is begun anew');
    return [];
  }
}

interface RoundUpdates {
  /** Whose update was accepted: each has a receipt. */
  readonly members: readonly NodeId[];
  /** Of a round that was committed. */
  readonly result?: { pathOf(nodeId: NodeId): MessageInitShape<typeof LogProofSchema>['update'] | undefined };
}

function readUpdates(store: Store, runId: RunId, round: number): RoundUpdates {
  const hashes = new Map<NodeId, Uint8Array>();
  for (const { nodeId, data } of store.read({ runId, round, kinds: ['update.accepted'] }))
    if (nodeId) hashes.set(nodeId, Buffer.from(data.updateSha256, 'hex'));
  const members = [...hashes.keys()];
  const [committed] = store.read({ runId, round, kinds: ['round.committed'] });
  if (committed === undefined) return { members };
  const summed = new Set(committed.data.nodeIds);
  // The order of the leaf's root: see sortedRoot.
  const order = [...hashes].filter(([nodeId]) => summed.has(nodeId)).toSorted(([, a], [, b]) => Buffer.compare(a, b));
  const tree = new log.LogTree();
  for (const [, hash] of order) tree.append(merkle.leafHash(hash));
  const places = new Map(order.map(([nodeId], place) => [nodeId, place]));
  return {
    members,
    result: {
      pathOf(nodeId) {
        const place = places.get(nodeId);
        if (place === undefined) return undefined;
        return { place: BigInt(place), size: BigInt(tree.size), hashes: tree.inclusionProof(place) };
      },
    },
  };
}
