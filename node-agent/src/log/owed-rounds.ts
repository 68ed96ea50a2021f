import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const signed = z.strictObject({ body: z.base64(), signature: z.base64() });

const owedSchema = z.strictObject({
  runId: z.string(),
  runName: z.string(),
  round: z.number().int(),
  adapterHash: hash,
  updateHash: hash,
  mayBeLeftOut: z.boolean(),
  /** Secure mode: within so many milliseconds of the receipt, on this node's clock, a Cut or Abort must have been shown. */
  withinMs: z.number().positive().nullable(),
  /** What the coordinator signed: the offer, and the receipt that promises. */
  statements: z.array(signed),
  /** That this node signed. */
  cut: z.strictObject({ cutHash: hash, inputRoot: hash }).optional(),
  cutShown: z.boolean(),
});

/** A round whose end in the log is still to be shown to this node. */
export type OwedRound = z.infer<typeof owedSchema>;

const folderOf = (home: string): string => join(home, 'owed');
const fileOf = (home: string, { runId, round }: Pick<OwedRound, 'runId' | 'round'>): string =>
  join(folderOf(home), `${runId}.${round}.json`);

export async function readOwed(home: string): Promise<OwedRound[]> {
  const names = await readdir(folderOf(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .map(async (name) => owedSchema.parse(JSON.parse(await readFile(join(folderOf(home), name), 'utf8')))),
  );
}

export async function writeOwed(home: string, owed: OwedRound): Promise<void> {
  await mkdir(folderOf(home), { recursive: true, mode: 0o700 });
  await writePrivateFile(fileOf(home, owed), JSON.stringify(owed));
}

export const removeOwed = (home: string, owed: Pick<OwedRound, 'runId' | 'round'>): Promise<void> =>
  rm(fileOf(home, owed), { force: true });
