import { toBinary } from '@bufbuild/protobuf';
import { LogProofSchema, type LogProof, type Receipt } from '@weft/proto';
import { log, type Identity, type secagg } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import { toEventFault } from '../event-fault.ts';
import type { Federation } from '../home/federation-file.ts';
import type { Connection } from '../session/connection.ts';
import { createAccuse, type Accuse } from './accuse.ts';
import { createChanges } from './changes.ts';
import { createConnectedTimers } from './connected-timers.ts';
import { createCosigner } from './cosigner.ts';
import { requireTrust, wholeFederation } from './distrust.ts';
import { createLoggedAdapters, type LoggedAdapter, type LoggedAdapters } from './logged-adapters.ts';
import { fromLogProof } from './log-proof.ts';
import type { OwedRound } from './owed-rounds.ts';
import { readSeenLog, writeSeenLog, type SeenLog } from './seen-log.ts';
import { createWatchedRounds, type OwedFacts } from './watched-rounds.ts';

export interface LogWatchOptions {
  readonly home: string;
  readonly identity: Identity;
  readonly connection: Pick<Connection, 'say'>;
  readonly federation: () => Federation;
  readonly emit: (event: NodeEvent) => void;
  /** What a process before this one was owed, and was shown. */
  readonly owed: readonly OwedRound[];
  readonly adapters: Readonly<Record<string, LoggedAdapter>>;
  /** Cosigns; undefined where the operator does not want that. */
  readonly witness: Identity | undefined;
  /** After a round was said to be over, its end in the log must be shown within so much connected time; so an adapter, too. */
  readonly endWithinMs?: number | undefined;
}

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
  /** What the log was shown to say that runs go on with. */
  readonly adapters: Pick<LoggedAdapters, 'find' | 'awaitShown'>;
  /** Two cuts of one session, as the coordinator signed them. */
  twoCuts(runId: string, round: number, runName: string, cuts: readonly secagg.Signed[]): Promise<void>;
  /** Two offers that contradict each other, or an offer and a checkpoint. */
  offerForks(runId: string, round: number, offer: secagg.Signed, seen: SeenLog): Promise<void>;
  stop(): Promise<void>;
}

/** A minute of an open session: a coordinator writes and shows a leaf in milliseconds. */
const defaultEndWithinMs = 60_000;

const fromHex = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

export function createLogWatch(options: LogWatchOptions): LogWatch {
  const { home, identity, connection, federation, emit, witness } = options;
  const endWithinMs = options.endWithinMs ?? defaultEndWithinMs;
  const timers = createConnectedTimers(() => performance.now());
  const changes = createChanges();
  let isConnected = false;
  let line: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  };
  const inBackground = (work: () => Promise<void>): void =>
    void inTurn(work).catch((error: unknown) => emit({ event: 'refused', ...toEventFault(error) }));

  const accuseOnce = createAccuse({ home, emit });
  const accuse: Accuse = async (...of) => {
    await accuseOnce(...of);
    changes.changed();
  };
  const cosigner =
    witness && createCosigner({ home, identity, witness, federationId: () => federation().federationId });
  const rounds = createWatchedRounds({
    home,
    owed: options.owed,
    timers,
    changes,
    accuse,
    emit,
    endWithinMs,
    inTurn: inBackground,
  });
  const saySeen = (size: number, more: { astray?: boolean; cosignature?: Uint8Array } = {}): void => {
    const awaited = rounds.all().map(({ runId, round }) => ({ runId, round }));
    const introduced = cosigner && { witness: cosigner.introduction() };
    const value = { logSize: BigInt(size), awaited, adapters: [...adapters.asked()], ...introduced, ...more };
    connection.say({ case: 'logSeen', value });
  };
  const askAgain = (): void => inBackground(async () => saySeen((await readSeenLog(home)).size));
  const adapters = createLoggedAdapters({
    home,
    known: options.adapters,
    timers,
    changes,
    withinMs: endWithinMs,
    ask: askAgain,
  });

  const hold = async (proof: LogProof): Promise<void> => {
    const seen = await readSeenLog(home);
    const { checkpoint, runId, round } = proof;
    const parts = fromLogProof(proof);
    const verdict = log.readShownHead(parts.head, federation().coordinatorKey, seen);
    if (verdict.verdict === 'elsewhere') return saySeen(seen.size, { astray: true });
    const own = rounds.find(runId, round);
    const about = { runId: runId === '' ? wholeFederation : runId, round, runName: own?.runName ?? '' };
    const kept = {
      statements: seen.offer ? [seen.offer] : [],
      checkpoints: [...(seen.checkpoint ? [seen.checkpoint] : []), checkpoint],
      shown: toBinary(LogProofSchema, proof),
    };
    if (verdict.verdict === 'fails') return accuse(verdict.check, { ...about, scope: wholeFederation }, kept);
    const { head, note } = verdict;
    const ended = own && log.readShownRound(parts.round, head, ownRoundOf(own));
    if (own && ended?.verdict === 'fails')
      return rounds.broken(own, ended.check, { checkpoint, proof: toBinary(LogProofSchema, proof) });
    const adapter = parts.adapter && log.readShownAdapter(parts.adapter, head, fromHex(runId.slice(2)));
    if (typeof adapter === 'string') return accuse(adapter, { ...about, scope: about.runId }, kept);
    const isOver = ended?.verdict === 'holds' && ended.end !== undefined;
    const leastSize = isOver
      ? Math.max(seen.leastSize, ...parts.round.leaves.map(({ path }) => path.place + 1))
      : seen.leastSize;
    if (head.size > seen.size || leastSize > seen.leastSize)
      await writeSeenLog(home, { ...head, leastSize, checkpoint });
    if (adapter !== undefined) await adapters.shown(runId, adapter);
    if (own && ended?.verdict === 'holds') {
      if (ended.adapter) await adapters.shown(runId, ended.adapter);
      await rounds.shown(own, ended, head.size);
    }
    const cosignature = await cosigner?.cosign(head.size, note.text);
    if (cosignature) saySeen(head.size, { cosignature });
  };

  const isOpen = (runId: string, before = Infinity): boolean =>
    rounds.all().some((known) => known.runId === runId && known.round < before);

  return {
    adapters,
    connected() {
      isConnected = true;
      cosigner?.connected();
      timers.connected();
      askAgain();
    },
    disconnected() {
      isConnected = false;
      timers.disconnected();
      changes.changed();
    },
    take: (proof) => inTurn(() => hold(proof)),
    exclusively: (work) => inTurn(async () => work(await readSeenLog(home))),
    sayAstray: ({ size }) => saySeen(size, { astray: true }),
    isOwed: (runId, round) => rounds.find(runId, round) !== undefined,
    owe: (facts) =>
      inTurn(async () => {
        // What ended in the meantime was shown to a node that was not owed it yet.
        if (await rounds.owe(facts)) askAgain();
      }),
    signCut: (runId, round, cut) => inTurn(() => rounds.signCut(runId, round, cut)),
    roundOver: (runId, lastRound) => rounds.over(runId, lastRound),
    async settled(runId, round, signal) {
      await requireTrust(home, runId);
      rounds.over(runId, round - 1);
      if (isOpen(runId, round)) await changes.until(() => !isOpen(runId, round), signal);
      await requireTrust(home, runId);
    },
    shownOrAlone: (runId) => changes.until(() => !isConnected || !isOpen(runId)),
    twoCuts: (runId, round, runName, statements) =>
      inTurn(() => accuse('oneCut', { runId, round, runName, scope: wholeFederation }, { statements })),
    offerForks: (runId, round, offer, seen) =>
      accuse(
        'logOnlyGrew',
        { runId, round, runName: rounds.find(runId, round)?.runName ?? '', scope: wholeFederation },
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
