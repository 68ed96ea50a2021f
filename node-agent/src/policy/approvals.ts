import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  hashRunSpec,
  isRunId,
  isSha256,
  runSpecSchema,
  WeftError,
  type RunId,
  type RunSpec,
  type Sha256,
} from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/** A coordinator that offers one run after the other fills no disk. */
const maxWaiting = 1000;

const waitingSchema = z.strictObject({
  runId: z.string().refine(isRunId),
  spec: runSpecSchema,
});

/** A run within the policy that was offered where approval is by hand. */
export type WaitingRun = z.infer<typeof waitingSchema> & {
  readonly runName: string;
  readonly specSha256: Sha256;
  readonly approved: boolean;
};

// The agent writes what was offered and the operator's command what is approved: neither overwrites the other.
const folderOf = (home: string): string => join(home, 'approvals');
const offeredFile = (home: string, runId: RunId): string => join(folderOf(home), `${runId}.offered.json`);
const approvedFile = (home: string, runId: RunId): string => join(folderOf(home), `${runId}.approved`);

/** The spec is approved, not the run's id: a coordinator that changes the spec has to be approved anew. */
export const isApproved = async (home: string, runId: RunId, spec: RunSpec): Promise<boolean> =>
  (await readApproved(home, runId)) === hashRunSpec(spec);

/** Notes what waits for the operator. */
export async function noteWaiting(home: string, runId: RunId, spec: RunSpec): Promise<void> {
  const known = await readdir(folderOf(home)).catch(() => []);
  if (known.length >= maxWaiting) return;
  await writePrivate(offeredFile(home, runId), {
    runId,
    spec,
  } satisfies z.infer<typeof waitingSchema>);
}

export async function readWaiting(home: string): Promise<readonly WaitingRun[]> {
  const names = await readdir(folderOf(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const runs: WaitingRun[] = [];
  for (const name of names.filter((file) => file.endsWith('.offered.json')).toSorted()) {
    const parsed = waitingSchema.safeParse(parseJson(await readFile(join(folderOf(home), name), 'utf8')));
    if (!parsed.success) continue;
    const { runId, spec } = parsed.data;
    const specSha256 = hashRunSpec(spec);
    const approved = (await readApproved(home, runId)) === specSha256;
    runs.push({ runId, runName: spec.name, specSha256, spec, approved });
  }
  return runs;
}

/** @throws WEFT_RUN_NOT_WAITING */
export async function approveRun(home: string, runId: string): Promise<WaitingRun> {
  const run = (await readWaiting(home)).find((waiting) => waiting.runId === runId);
  if (run === undefined) throw new WeftError('WEFT_RUN_NOT_WAITING', `no run ${runId} waits for approval at this node`);
  await writePrivate(approvedFile(home, run.runId), run.specSha256);
  return { ...run, approved: true };
}

async function readApproved(home: string, runId: RunId): Promise<Sha256 | undefined> {
  const text = await readFile(approvedFile(home, runId), 'utf8').catch(() => '""');
  const hash = parseJson(text);
  return typeof hash === 'string' && isSha256(hash) ? hash : undefined;
}

async function writePrivate(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writePrivateFile(path, JSON.stringify(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
