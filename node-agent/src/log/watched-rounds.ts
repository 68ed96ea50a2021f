import type { log } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import { recordSent } from '../home/sent-record.ts';
import type { Accuse } from './accuse.ts';
import type { Changes } from './changes.ts';
import type { ConnectedTimers } from './connected-timers.ts';
import { removeOwed, writeOwed, type OwedRound } from './owed-rounds.ts';
import { readSeenLog } from './seen-log.ts';

/** What this node knows of a round that it is owed the end of. */
export type OwedFacts = Omit<OwedRound, 'cutShown' | 'cut'>;

/** Rounds whose update left, until the log was shown to hold their end. Each call but `over` is one of a line of turns. */
export interface WatchedRounds {
  all(): readonly OwedRound[];
  find(runId: string, round: number): OwedRound | undefined;
  /** Kept for good before this returns. @returns whether it was not owed yet */
  owe(facts: OwedFacts): Promise<boolean>;
  /** Before the signature on the cut leaves. */
  signCut(runId: string, round: number, cut: NonNullable<OwedRound['cut']>): Promise<void>;
  /** The coordinator said that the rounds up to this one are over. */
  over(runId: string, lastRound: number): void;
  /** What the log was shown to hold of it. */
  shown(own: OwedRound, verdict: Extract<log.RoundVerdict, { verdict: 'holds' }>, logSize: number): Promise<void>;
  /** What was shown, or the time that passed, breaks what was promised. */
  broken(
    own: OwedRound,
    check: log.LogCheckName,
    shown?: { readonly checkpoint: Uint8Array; readonly proof: Uint8Array },
  ): Promise<void>;
}

export interface WatchedRoundsOptions {
  readonly home: string;
  /** What a process before this one was owed. */
  readonly owed: readonly OwedRound[];
  readonly timers: ConnectedTimers;
  readonly changes: Changes;
  readonly accuse: Accuse;
  readonly emit: (event: NodeEvent) => void;
  /** After a round was said to be over, its end in the log must be shown within so much connected time. */
  readonly endWithinMs: number;
  /** A turn for what a timer does. */
  readonly inTurn: (work: () => Promise<void>) => void;
}

const keyOf = ({ runId, round }: Pick<OwedRound, 'runId' | 'round'>): string => `${runId}/${round}`;
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

export function createWatchedRounds(options: WatchedRoundsOptions): WatchedRounds {
  const { home, timers, changes, accuse, emit, endWithinMs, inTurn } = options;
  const owed = new Map(options.owed.map((round) => [keyOf(round), round]));
  /** The last round of each run that was said to be over. */
  const over = new Map<string, number>();

  const forget = async (round: OwedRound): Promise<void> => {
    timers.cancel(`cut ${keyOf(round)}`);
    timers.cancel(`end ${keyOf(round)}`);
    owed.delete(keyOf(round));
    await removeOwed(home, round);
    changes.changed();
  };
  const change = async (round: OwedRound): Promise<void> => {
    owed.set(keyOf(round), round);
    await writeOwed(home, round);
  };
  const broken: WatchedRounds['broken'] = async (own, check, shown) => {
    const seen = await readSeenLog(home);
    const statements = own.statements.map(({ body, signature }) => ({
      body: fromBase64(body),
      signature: fromBase64(signature),
    }));
    const checkpoints = shown ? [shown.checkpoint] : seen.checkpoint ? [seen.checkpoint] : [];
    await accuse(check, { ...own, scope: own.runId }, { statements, checkpoints, shown: shown?.proof });
    await forget(own);
  };
  const runsOut = (key: string, check: 'promiseKept' | 'endShown') => (): void =>
    inTurn(async () => {
      const round = owed.get(key);
      if (round !== undefined && !(check === 'promiseKept' && round.cutShown)) await broken(round, check);
    });
  const awaitCut = (round: OwedRound): void => {
    if (round.withinMs === null || round.cutShown) return;
    timers.start(`cut ${keyOf(round)}`, round.withinMs, runsOut(keyOf(round), 'promiseKept'));
  };
  const awaitEnd = (round: OwedRound): void => {
    if (round.round <= (over.get(round.runId) ?? -1))
      timers.start(`end ${keyOf(round)}`, endWithinMs, runsOut(keyOf(round), 'endShown'));
  };
  for (const round of owed.values()) awaitCut(round);

  return {
    all: () => [...owed.values()],
    find: (runId, round) => owed.get(keyOf({ runId, round })),
    async owe(facts) {
      if (owed.has(keyOf(facts))) return false;
      const round: OwedRound = { ...facts, cutShown: false };
      await writeOwed(home, round);
      owed.set(keyOf(round), round);
      awaitCut(round);
      awaitEnd(round);
      return true;
    },
    async signCut(runId, round, cut) {
      const known = owed.get(keyOf({ runId, round }));
      if (known !== undefined && known.cut === undefined) await change({ ...known, cut });
    },
    over(runId, lastRound) {
      over.set(runId, Math.max(lastRound, over.get(runId) ?? -1));
      for (const round of owed.values()) if (round.runId === runId) awaitEnd(round);
    },
    async shown(own, { cut, end, leftOut }, logSize) {
      if (end === undefined) {
        if (!cut || own.cutShown) return;
        timers.cancel(`cut ${keyOf(own)}`);
        return change({ ...own, cutShown: true });
      }
      const { runId, runName, round } = own;
      await recordSent(home, { kind: 'log', runId, runName, round, outcome: leftOut ? 'left out' : end, logSize });
      await forget(own);
      emit({ event: 'log-shown', runId, round, end, leftOut, logSize });
    },
    broken,
  };
}
