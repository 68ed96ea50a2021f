import { toBinary } from '@bufbuild/protobuf';
import { LogProofSchema, type LogPath, type LogProof, type Receipt } from '@weft/proto';
import { log, type Identity, type secagg } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import { toEventFault } from '../event-fault.ts';
import type { Federation } from '../home/federation-file.ts';
import { recordSent } from '../home/sent-record.ts';
import type { Connection } from '../session/connection.ts';
import { createConnectedTimers } from './connected-timers.ts';
import { readDistrust, requireTrust, wholeFederation, writeDistrust } from './distrust.ts';
import { keepEvidence } from './evidence.ts';
import { removeOwed, writeOwed, type OwedRound } from './owed-rounds.ts';
import { readSeenLog, writeSeenLog, type SeenLog } from './seen-log.ts';

export interface LogWatchOptions {
  readonly home: string;
  readonly identity: Identity;
  readonly connection: Pick<Connection, 'say'>;
  readonly federation: () => Federation;
  readonly emit: (event: NodeEvent) => void;
  /** What a process before this one was owed. */
  readonly owed: readonly OwedRound[];
  /** Cosigns; undefined where the operator does not want that. */
  readonly witness: Identity | undefined;
  /** After a round was said to be over, its end in the log must be shown within so much connected time. */
  readonly endWithinMs?: number | undefined;
}

/** What this node knows of a round that it is owed the end of. */
export type OwedFacts = Omit<OwedRound, 'cutShown' | 'cut'>;

/**
 * What this node has seen of the log, and what it is owed of it. A round whose update left is owed until the coordinator has
 * shown its end; where what the coordinator signed does not hold, evidence is kept and no further round is taken part in.
 */
export interface LogWatch {
  /** A session began: says how far the log was seen and which rounds are owed. */
  connected(): void;
  disconnected(): void;
  take(proof: LogProof): Promise<void>;
  /** Alone with what was seen: nothing moves it meanwhile. */
  exclusively<T>(work: (seen: SeenLog) => Promise<T>): Promise<T>;
  /** An offer's proof began elsewhere. */
  sayAstray(seen: SeenLog): void;
  isOwed(runId: string, round: number): boolean;
  /** Kept for good before this returns. */
  owe(facts: OwedFacts): Promise<void>;
  /** Before the signature on the cut leaves. */
  signCut(runId: string, round: number, cut: NonNullable<OwedRound['cut']>): Promise<void>;
  /** The coordinator said that it is over. */
  roundOver(runId: string, lastRound: number): void;
  /** Resolves when every earlier round of the run was shown. @throws WEFT_LOG_DISTRUSTED */
  settled(runId: string, round: number, signal: AbortSignal): Promise<void>;
  /** Resolves when no round of the run is owed any more, or nobody is there to show it. */
  shownOrAlone(runId: string): Promise<void>;
  /** Two cuts of one session, as the coordinator signed them. */
  twoCuts(runId: string, round: number, runName: string, cuts: readonly secagg.Signed[]): Promise<void>;
  /** Two offers that contradict each other, or an offer and a checkpoint. */
  offerForks(runId: string, round: number, offer: secagg.Signed, seen: SeenLog): Promise<void>;
  stop(): Promise<void>;
}

/** A minute of an open session: a coordinator writes and shows a leaf in milliseconds. */
const defaultEndWithinMs = 60_000;

const keyOf = ({ runId, round }: { runId: string; round: number }): string => `${runId}/${round}`;
const fromHex = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

export function createLogWatch(options: LogWatchOptions): LogWatch {
  const { home, identity, connection, federation, emit, witness } = options;
  const endWithinMs = options.endWithinMs ?? defaultEndWithinMs;
  const owed = new Map(options.owed.map((round) => [keyOf(round), round]));
  const timers = createConnectedTimers(() => performance.now());
  const listeners = new Set<() => void>();
  let isConnected = false;
  let cosignedSize = -1;
  /** The last round of each run that was said to be over. */
  const over = new Map<string, number>();
  let line: Promise<unknown> = Promise.resolve();

  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const until = (holds: () => boolean, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!holds() && signal?.aborted !== true) return;
        listeners.delete(check);
        signal?.removeEventListener('abort', check);
        resolve();
      };
      listeners.add(check);
      signal?.addEventListener('abort', check);
      check();
    });
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  };

  const announced = () => {
    if (witness === undefined) return undefined;
    const key = log.witnessKeyOf(identity.publicKey, witness.publicKey);
    const { federationId } = federation();
    return {
      verifierKey: log.formatVerifierKey(key),
      signature: log.signWitnessKey(identity, federationId, witness.publicKey),
    };
  };
  const saySeen = (size: number, more: { astray?: boolean; cosignature?: Uint8Array } = {}): void => {
    const awaited = [...owed.values()].map(({ runId, round }) => ({ runId, round }));
    const introduced = announced();
    connection.say({
      case: 'logSeen',
      value: { logSize: BigInt(size), awaited, ...(introduced && { witness: introduced }), ...more },
    });
  };

  const forget = async (round: OwedRound): Promise<void> => {
    timers.cancel(`cut ${keyOf(round)}`);
    timers.cancel(`end ${keyOf(round)}`);
    owed.delete(keyOf(round));
    await removeOwed(home, round);
  };

  /** Evidence first, then what stops this node, then the words. */
  const distrust = async (
    check: log.LogCheckName,
    about: { runId: string; round: number; runName: string; scope: string },
    kept: { statements: readonly secagg.Signed[]; checkpoints?: readonly Uint8Array[]; shown?: Uint8Array | undefined },
  ): Promise<void> => {
    const { runId, round, runName, scope } = about;
    const evidence = await keepEvidence(home, { runId, round, check, ...kept });
    await writeDistrust(home, { scope, runId, round, check, at: new Date().toISOString(), evidence });
    await recordSent(home, { kind: 'log', runId, runName, round, outcome: 'distrusted', check });
    emit({ event: 'log-distrusted', runId, round, check, scope, evidence });
    changed();
  };
  const breakRound = async (
    round: OwedRound,
    check: log.LogCheckName,
    shown?: { checkpoint: Uint8Array; proof: Uint8Array },
  ): Promise<void> => {
    const seen = await readSeenLog(home);
    await distrust(
      check,
      { ...round, scope: round.runId },
      {
        statements: round.statements.map(({ body, signature }) => ({
          body: fromBase64(body),
          signature: fromBase64(signature),
        })),
        checkpoints: shown ? [shown.checkpoint] : seen.checkpoint ? [seen.checkpoint] : [],
        shown: shown?.proof,
      },
    );
    await forget(round);
    changed();
  };
  const runsOut = (key: string, check: 'promiseKept' | 'endShown') => (): void => {
    const failed = (error: unknown): void => emit({ event: 'refused', ...toEventFault(error) });
    inTurn(async () => {
      const round = owed.get(key);
      if (round !== undefined && !(check === 'promiseKept' && round.cutShown)) await breakRound(round, check);
    }).catch(failed);
  };
  const awaitCut = (round: OwedRound): void => {
    if (round.withinMs === null || round.cutShown) return;
    timers.start(`cut ${keyOf(round)}`, round.withinMs, runsOut(keyOf(round), 'promiseKept'));
  };
  const awaitEnd = (round: OwedRound): void => {
    if (round.round <= (over.get(round.runId) ?? -1))
      timers.start(`end ${keyOf(round)}`, endWithinMs, runsOut(keyOf(round), 'endShown'));
  };
  const roundOver = (runId: string, lastRound: number): void => {
    over.set(runId, Math.max(lastRound, over.get(runId) ?? -1));
    for (const round of owed.values()) if (round.runId === runId) awaitEnd(round);
  };
  const askAgain = (): Promise<void> => inTurn(async () => saySeen((await readSeenLog(home)).size));
  for (const round of owed.values()) awaitCut(round);

  const cosign = async (size: number, text: string): Promise<void> => {
    if (witness === undefined || size <= cosignedSize || (await readDistrust(home)).length > 0) return;
    cosignedSize = size;
    await recordSent(home, { kind: 'cosignature', logSize: size });
    const seconds = BigInt(Math.floor(Date.now() / 1000));
    saySeen(size, { cosignature: log.cosignatureOf(text, (message) => witness.sign(message), seconds) });
  };

  const toRound = (proof: LogProof) => ({
    leaves: proof.leaves.map(({ leaf, path }) => ({ leaf, path: toPath(path) })),
    update: proof.update && toPath(proof.update),
  });

  const hold = async (proof: LogProof): Promise<void> => {
    const seen = await readSeenLog(home);
    const { checkpoint } = proof;
    const shownHead = { checkpoint, fromSize: Number(proof.fromSize), consistency: proof.consistency };
    const verdict = log.readShownHead(shownHead, federation().coordinatorKey, seen);
    if (verdict.verdict === 'elsewhere') return saySeen(seen.size, { astray: true });
    const { runId, round } = proof;
    const own = owed.get(keyOf({ runId, round }));
    if (verdict.verdict === 'fails') {
      const about = {
        runId: runId === '' ? wholeFederation : runId,
        round,
        runName: own?.runName ?? '',
        scope: wholeFederation,
      };
      return distrust(verdict.check, about, {
        statements: seen.offer ? [seen.offer] : [],
        checkpoints: [...(seen.checkpoint ? [seen.checkpoint] : []), checkpoint],
        shown: toBinary(LogProofSchema, proof),
      });
    }
    const { head, note } = verdict;
    const ended = own && log.readShownRound(toRound(proof), head, ownRoundOf(own));
    if (own && ended?.verdict === 'fails')
      return breakRound(own, ended.check, { checkpoint, proof: toBinary(LogProofSchema, proof) });
    const isOver = ended?.verdict === 'holds' && ended.end !== undefined;
    const leastSize = isOver
      ? Math.max(seen.leastSize, ...proof.leaves.map(({ path }) => Number(path?.place ?? 0n) + 1))
      : seen.leastSize;
    if (head.size > seen.size || leastSize > seen.leastSize)
      await writeSeenLog(home, { ...head, leastSize, checkpoint });
    if (own && ended?.verdict === 'holds') await shown(own, ended, head.size);
    await cosign(head.size, note.text);
  };

  const shown = async (
    own: OwedRound,
    { cut, end, leftOut }: Extract<log.RoundVerdict, { verdict: 'holds' }>,
    logSize: number,
  ): Promise<void> => {
    const { runId, runName, round } = own;
    if (end === undefined) {
      if (!cut || own.cutShown) return;
      timers.cancel(`cut ${keyOf(own)}`);
      const known = { ...own, cutShown: true };
      owed.set(keyOf(own), known);
      await writeOwed(home, known);
      return;
    }
    await recordSent(home, { kind: 'log', runId, runName, round, outcome: leftOut ? 'left out' : end, logSize });
    await forget(own);
    emit({ event: 'log-shown', runId, round, end, leftOut, logSize });
    changed();
  };

  return {
    connected() {
      isConnected = true;
      cosignedSize = -1;
      timers.connected();
      void askAgain();
    },
    disconnected() {
      isConnected = false;
      timers.disconnected();
      changed();
    },
    take: (proof) => inTurn(() => hold(proof)),
    exclusively: (work) => inTurn(async () => work(await readSeenLog(home))),
    sayAstray: ({ size }) => saySeen(size, { astray: true }),
    isOwed: (runId, round) => owed.has(keyOf({ runId, round })),
    owe: (facts) =>
      inTurn(async () => {
        if (owed.has(keyOf(facts))) return;
        const round: OwedRound = { ...facts, cutShown: false };
        await writeOwed(home, round);
        owed.set(keyOf(round), round);
        awaitCut(round);
        awaitEnd(round);
        // What ended in the meantime was shown to a node that was not owed it yet.
        void askAgain();
      }),
    signCut: (runId, round, cut) =>
      inTurn(async () => {
        const known = owed.get(keyOf({ runId, round }));
        if (known === undefined || known.cut !== undefined) return;
        const signing = { ...known, cut };
        owed.set(keyOf(known), signing);
        await writeOwed(home, signing);
      }),
    roundOver,
    async settled(runId, round, signal) {
      await requireTrust(home, runId);
      roundOver(runId, round - 1);
      const isOpen = (): boolean => [...owed.values()].some((known) => known.runId === runId && known.round < round);
      if (isOpen()) await until(() => !isOpen(), signal);
      await requireTrust(home, runId);
    },
    shownOrAlone: (runId) => until(() => !isConnected || ![...owed.values()].some((round) => round.runId === runId)),
    twoCuts: (runId, round, runName, statements) =>
      inTurn(() => distrust('oneCut', { runId, round, runName, scope: wholeFederation }, { statements })),
    offerForks: (runId, round, offer, seen) =>
      distrust(
        'logOnlyGrew',
        { runId, round, runName: owed.get(keyOf({ runId, round }))?.runName ?? '', scope: wholeFederation },
        {
          statements: seen.offer ? [seen.offer, offer] : [offer],
          checkpoints: seen.checkpoint ? [seen.checkpoint] : [],
        },
      ),
    async stop() {
      timers.disconnected();
      await line;
    },
  };
}

const toPath = (path: LogPath | undefined): log.LeafPath => ({
  place: Number(path?.place ?? -1n),
  size: Number(path?.size ?? -1n),
  hashes: path?.hashes ?? [],
});

const ownRoundOf = ({ runId, round, adapterHash, updateHash, cut, mayBeLeftOut }: OwedRound): log.OwnRound => ({
  runId: fromHex(runId.slice(2)),
  round,
  adapterHash: fromHex(adapterHash),
  updateHash: fromHex(updateHash),
  cut: cut && { cutHash: fromHex(cut.cutHash), inputRoot: fromHex(cut.inputRoot) },
  mayBeLeftOut,
});

/** The round of an update that the coordinator has acknowledged, without a session: no cut was promised. */
export const owedOf = (
  { runId, round, updateSha256 }: Receipt,
  update: { readonly runName: string; readonly body: { readonly previousAdapterSha256: string } },
): OwedFacts => ({
  runId,
  round,
  runName: update.runName,
  adapterHash: update.body.previousAdapterSha256,
  updateHash: updateSha256,
  mayBeLeftOut: false,
  withinMs: null,
  statements: [],
});
