import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from './private-file.ts';

/** How a run ended; empty where the coordinator used another word. */
export const runOutcomes = ['finished', 'aborted', 'stopped', ''] as const;
export type RunOutcome = (typeof runOutcomes)[number];
export const toRunOutcome = (word: string): RunOutcome => runOutcomes.find((known) => known === word) ?? '';

const runSchema = z.strictObject({
  runName: z.string(),
  /** The last round that was offered, from 0. */
  round: z.number().int(),
  /** The last round of whose end this node was told; −1 before the first. */
  roundOver: z.number().int(),
  /** Null until this node was told. */
  outcome: z.enum(runOutcomes).nullable(),
});
export type OfferedRun = z.infer<typeof runSchema>;

/** Runs that this node was offered, and what it was told of their ends: about the others it asks at each session. */
export interface OfferedRuns {
  open(): { readonly runId: string; readonly round: number }[];
  isOver(runId: string, round: number): boolean;
  hasEnded(runId: string): boolean;
  /** On the disk when this resolves, as are the next two. */
  offered(runId: string, runName: string, round: number): Promise<void>;
  roundOver(runId: string, round: number): Promise<void>;
  /** @returns the run, where it was one that was offered */
  ended(runId: string, outcome: RunOutcome): Promise<OfferedRun | undefined>;
}

const fileOf = (home: string): string => join(home, 'runs.json');

/** @throws WEFT_NODE_HOME_DAMAGED */
export async function readOfferedRuns(home: string): Promise<ReadonlyMap<string, OfferedRun>> {
  const text = await readFile(fileOf(home), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  try {
    return new Map(Object.entries(z.record(z.string(), runSchema).parse(JSON.parse(text))));
  } catch (cause) {
    throw new WeftError('WEFT_NODE_HOME_DAMAGED', 'runs.json does not hold what it should', {}, { cause });
  }
}

export async function openOfferedRuns(home: string): Promise<OfferedRuns> {
  const runs = new Map(await readOfferedRuns(home));
  let line: Promise<void> = Promise.resolve();
  const keep = (runId: string, run: OfferedRun): Promise<void> => {
    runs.set(runId, run);
    const done = line.then(() => writePrivateFile(fileOf(home), JSON.stringify(Object.fromEntries(runs))));
    line = done.catch(() => {});
    return done;
  };
  return {
    open: () => [...runs].flatMap(([runId, { round, outcome }]) => (outcome === null ? [{ runId, round }] : [])),
    isOver: (runId, round) => round <= (runs.get(runId)?.roundOver ?? -1),
    hasEnded: (runId) => (runs.get(runId)?.outcome ?? null) !== null,
    async offered(runId, runName, round) {
      const known = runs.get(runId);
      if (known?.round === round && known.outcome === null) return;
      await keep(runId, { runName, round, roundOver: known?.roundOver ?? -1, outcome: null });
    },
    async roundOver(runId, round) {
      const known = runs.get(runId);
      if (known !== undefined && round > known.roundOver) await keep(runId, { ...known, roundOver: round });
    },
    async ended(runId, outcome) {
      const known = runs.get(runId);
      if (known !== undefined) await keep(runId, { ...known, outcome });
      return known;
    },
  };
}
