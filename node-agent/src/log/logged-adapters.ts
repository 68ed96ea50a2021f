import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { log, WeftError, type RunId, type Sha256 } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';
import type { Changes } from './changes.ts';
import type { ConnectedTimers } from './connected-timers.ts';

const adapterSchema = z.strictObject({
  /** Of the leaf. */
  place: z.number().int().min(0),
  adapterSha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** What updates are clipped to from there on; null where the leaf names none. */
  nextClipNormL2: z.number().positive().nullable(),
});
/** What this node was shown that a run goes on with. */
export type LoggedAdapter = z.infer<typeof adapterSchema>;

const fileIn = (home: string): string => join(home, 'logged-adapters.json');

/** A damaged file is an error: a node that forgets could be offered an older adapter. */
export async function readLoggedAdapters(home: string): Promise<Readonly<Record<string, LoggedAdapter>>> {
  try {
    return z.record(z.string(), adapterSchema).parse(JSON.parse(await readFile(fileIn(home), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return {};
  }
}

/** The newest leaf of each run that says which adapter it goes on with, of those that this node was shown. */
export interface LoggedAdapters {
  find(runId: string): LoggedAdapter | undefined;
  /** Runs of which a leaf is waited for. */
  asked(): readonly string[];
  /** Kept for good before this returns; an older leaf than the known one changes nothing. */
  shown(runId: string, leaf: log.LoggedAdapter): Promise<void>;
  /** Resolves when the newest leaf that was shown names this adapter. @throws WEFT_NODE_ADAPTER_UNPROVEN */
  awaitShown(runId: RunId, adapter: Sha256, signal: AbortSignal): Promise<LoggedAdapter>;
}

export function createLoggedAdapters({
  home,
  known: before,
  timers,
  changes,
  withinMs,
  ask,
}: {
  readonly home: string;
  readonly known: Readonly<Record<string, LoggedAdapter>>;
  readonly timers: ConnectedTimers;
  readonly changes: Changes;
  /** Of connected time. */
  readonly withinMs: number;
  /** Tells the coordinator what is waited for. */
  readonly ask: () => void;
}): LoggedAdapters {
  const known = new Map(Object.entries(before));
  const asked = new Set<string>();
  return {
    find: (runId) => known.get(runId),
    asked: () => [...asked],
    async shown(runId, { place, adapterHash, nextClipNorm }) {
      if (place <= (known.get(runId)?.place ?? -1)) return;
      const adapterSha256 = Buffer.from(adapterHash).toString('hex');
      const nextClipNormL2 = nextClipNorm === 0n ? null : log.floatOfBits(nextClipNorm);
      const parsed = adapterSchema.safeParse({ place, adapterSha256, nextClipNormL2 });
      // A norm that is none: as if the leaf had not been shown, and the offer is refused.
      if (!parsed.success) return;
      await writePrivateFile(fileIn(home), JSON.stringify({ ...Object.fromEntries(known), [runId]: parsed.data }));
      known.set(runId, parsed.data);
      changes.changed();
    },
    async awaitShown(runId, adapter, signal) {
      const found = (): LoggedAdapter | undefined => {
        const newest = known.get(runId);
        return newest?.adapterSha256 === adapter ? newest : undefined;
      };
      const atHand = found();
      if (atHand !== undefined) return atHand;
      let isLate = false;
      asked.add(runId);
      ask();
      timers.start(`adapter ${runId}`, withinMs, () => {
        isLate = true;
        changes.changed();
      });
      try {
        await changes.until(() => isLate || found() !== undefined, signal);
      } finally {
        asked.delete(runId);
        timers.cancel(`adapter ${runId}`);
      }
      const shown = found();
      if (shown !== undefined) return shown;
      const newest = known.get(runId)?.adapterSha256;
      throw new WeftError(
        'WEFT_NODE_ADAPTER_UNPROVEN',
        `the round offers adapter ${adapter}, and the log was shown to say ${newest === undefined ? 'nothing of this run, whose seed gives another one' : `${newest} and nothing newer`}`,
      );
    },
  };
}
