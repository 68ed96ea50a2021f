import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EnvelopeSchema, UpdateSchema, type Envelope, type Update } from '@weft/proto';
import { runSpecSchema, secureStepMs, sha256File, type RunId, type RunSpec } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

const pendingSchema = z.strictObject({
  /** The signed Update, an Envelope in base64: what is sent after a restart is what was meant before it. */
  update: z.string(),
  runName: z.string(),
  /** The run spec that the node agreed to. */
  spec: runSpecSchema,
  /** What it was clipped to. */
  clipNormL2: z.number(),
  normL2: z.number(),
  trainingMs: z.number(),
});

/** An update that is trained and has no receipt yet. */
export interface PendingUpdate {
  readonly update: Envelope;
  readonly body: Update;
  readonly payloadPath: string;
  readonly runName: string;
  readonly spec: RunSpec;
  readonly clipNormL2: number;
  readonly normL2: number;
  readonly trainingMs: number;
}

/** Updates on disk between training and receipt: an agent that was killed sends what it has instead of training again. */
export interface PendingUpdates {
  save(pending: Omit<PendingUpdate, 'payloadPath' | 'body'>, payload: Uint8Array): Promise<PendingUpdate>;
  /** undefined where there is none, or where it is damaged. */
  find(runId: RunId, round: number): Promise<PendingUpdate | undefined>;
  /** Those of this run up to and with this round. */
  remove(runId: string, lastRound: number): Promise<void>;
  /**
   * From now on: each update that is still here when its time is over. An agent that comes back asks the clock of the
   * machine how much of it has passed. One that was set forward ends it early; one that was set back lets it begin anew.
   */
  onOverdue(tell: (update: PendingUpdate) => void): void;
  /** Tells nothing more. */
  close(): void;
}

/** So many steps has a session, and none of them takes longer than the run spec says. */
const sessionSteps = 5;
const sessionMs = ({ aggregation }: RunSpec): number => sessionSteps * secureStepMs(aggregation.secure);
/** From training to the end of a round: until the cohort is fixed, and then until the updates are in. */
export const longestKeptMs = (spec: RunSpec): number => {
  const waitMs = spec.cohort.deadlineSeconds * 1000;
  return waitMs + (spec.aggregation.mode === 'secure' ? sessionMs(spec) : waitMs);
};

interface Kept {
  readonly update: PendingUpdate;
  readonly leftMs: number;
}

/** Opens the folder for an agent: what a process left there that no whole update belongs to goes at once. */
export async function openPendingUpdates(folder: string): Promise<PendingUpdates> {
  const there = createPendingUpdates(folder);
  const names = await readdir(folder);
  const kept = new Map<string, Kept>();
  for (const [, round, runId, number] of names.flatMap((name) => [/^(([^.]+)\.(\d+))\.json$/.exec(name) ?? []])) {
    const update = round === undefined ? undefined : await there.find(runId as RunId, Number(number));
    if (update) kept.set(round!, { update, leftMs: await leftMsOf(join(folder, round!), update.spec) });
  }
  for (const name of names)
    if (!kept.has(name.split('.').slice(0, 2).join('.'))) await rm(join(folder, name), { force: true });
  return createPendingUpdates(folder, [...kept.values()]);
}

async function leftMsOf(path: string, spec: RunSpec): Promise<number> {
  const ageMs = async (file: string): Promise<number | undefined> => {
    const written = await stat(file).catch(() => undefined);
    return written && Math.max(0, Date.now() - written.mtimeMs);
  };
  const [updateMs = 0, sessionAgeMs] = await Promise.all([ageMs(`${path}.json`), ageMs(`${path}.journal`)]);
  const leftMs = longestKeptMs(spec) - updateMs;
  return sessionAgeMs === undefined ? leftMs : Math.min(leftMs, sessionMs(spec) - sessionAgeMs);
}

/** @param kept that lie there already */
export function createPendingUpdates(folder: string, kept: readonly Kept[] = []): PendingUpdates {
  const timers = new Map<string, NodeJS.Timeout>();
  let tell: ((update: PendingUpdate) => void) | undefined;
  const arm = ({ update, leftMs }: Kept): void => {
    const key = `${update.body.runId}.${update.body.round}`;
    clearTimeout(timers.get(key));
    if (tell) timers.set(key, setTimeout(tell, Math.max(0, leftMs), update).unref());
  };
  const fileOf = (runId: string, round: number, extension: 'json' | 'payload'): string =>
    join(folder, `${runId}.${round}.${extension}`);
  return {
    async save({ update, ...facts }, payload) {
      const body = fromBinary(UpdateSchema, update.body);
      const payloadPath = fileOf(body.runId, body.round, 'payload');
      const json = { ...facts, update: Buffer.from(toBinary(EnvelopeSchema, update)).toString('base64') };
      await writePrivateFile(payloadPath, payload);
      // after the payload: who finds this file finds the other one too
      await writePrivateFile(fileOf(body.runId, body.round, 'json'), JSON.stringify(json));
      const saved = { ...facts, update, body, payloadPath };
      arm({ update: saved, leftMs: longestKeptMs(saved.spec) });
      return saved;
    },
    async find(runId, round) {
      try {
        const { update: base64, ...facts } = pendingSchema.parse(
          JSON.parse(await readFile(fileOf(runId, round, 'json'), 'utf8')),
        );
        const update = fromBinary(EnvelopeSchema, Buffer.from(base64, 'base64'));
        const body = create(UpdateSchema, fromBinary(UpdateSchema, update.body));
        const payloadPath = fileOf(runId, round, 'payload');
        const isWhole =
          body.runId === runId && body.round === round && (await sha256File(payloadPath)) === body.payloadSha256;
        return isWhole ? { ...facts, update, body, payloadPath } : undefined;
      } catch {
        return undefined;
      }
    },
    async remove(runId, lastRound) {
      for (const [key, timer] of timers) {
        const [run, round] = key.split('.');
        if (run !== runId || Number(round) > lastRound) continue;
        clearTimeout(timer);
        timers.delete(key);
      }
      for (const name of await readdir(folder)) {
        const [run, round] = name.split('.');
        if (run === runId && Number(round) <= lastRound) await rm(join(folder, name), { force: true });
      }
    },
    onOverdue(listener) {
      tell = listener;
      kept.forEach(arm);
    },
    close() {
      tell = undefined;
      timers.forEach((timer) => clearTimeout(timer));
    },
  };
}
