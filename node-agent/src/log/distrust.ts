import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { log, WeftError } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/** Where what the coordinator signed did not hold: no further round of this run, or of the federation, until the operator says so. */
const distrustSchema = z.strictObject({
  /** A run's id, or the whole federation: two histories, or two cuts of one session, concern every run. */
  scope: z.string(),
  runId: z.string(),
  round: z.number().int(),
  /** A name of `logChecks`. */
  check: z.string(),
  /** ISO 8601, UTC. */
  at: z.string(),
  /** A file of `evidence`. */
  evidence: z.string(),
});
export type Distrust = z.infer<typeof distrustSchema>;
export const wholeFederation = 'federation';

const fileOf = (home: string): string => join(home, 'distrust.json');

/** A damaged file is an error: what stops a node is not forgotten. */
export async function readDistrust(home: string): Promise<readonly Distrust[]> {
  try {
    return z.array(distrustSchema).parse(JSON.parse(await readFile(fileOf(home), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export async function writeDistrust(home: string, distrust: Distrust): Promise<void> {
  const before = (await readDistrust(home)).filter(({ scope }) => scope !== distrust.scope);
  await writePrivateFile(fileOf(home), JSON.stringify([...before, distrust]));
}

/** What it says of its check, in words. */
export const distrustWords = ({ check }: Distrust): string =>
  Object.hasOwn(log.logChecks, check) ? log.logChecks[check as log.LogCheckName] : check;

/** The operator takes part again. The evidence stays. @throws WEFT_USAGE where nothing stops rounds of this scope */
export async function dismissDistrust(home: string, scope: string): Promise<Distrust> {
  const all = await readDistrust(home);
  const found = all.find((distrust) => distrust.scope === scope);
  if (found === undefined)
    throw new WeftError('WEFT_USAGE', `nothing stops rounds of ${scope.slice(0, 40)}: see \`weft node evidence\``);
  await writePrivateFile(fileOf(home), JSON.stringify(all.filter((distrust) => distrust !== found)));
  return found;
}

/** @throws WEFT_LOG_DISTRUSTED */
export async function requireTrust(home: string, runId: string): Promise<void> {
  const found = (await readDistrust(home)).find(({ scope }) => scope === runId || scope === wholeFederation);
  if (found === undefined) return;
  throw new WeftError(
    'WEFT_LOG_DISTRUSTED',
    `this node takes no part in rounds of ${found.scope}: in round ${found.round + 1} ${distrustWords(found)} (evidence/${found.evidence})`,
    { runId: found.runId, round: found.round },
  );
}
