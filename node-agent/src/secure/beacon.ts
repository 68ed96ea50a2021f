import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secagg, WeftError, type RunSpec } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/**
 * A node's part in drawing the shards of a large cohort. It commits to 32 random bytes when it reports ready, and
 * reveals them once the roster is fixed. They lie with the update that they were drawn for and go when it goes.
 */

const fileOf = (folder: string, runId: string, round: number): string => join(folder, `${runId}.${round}.beacon`);

/** Whether the cohort of a run may be cut into shards. */
const mayHaveShards = ({ aggregation, cohort }: RunSpec): boolean =>
  aggregation.mode === 'secure' && cohort.maximum > secagg.maxShardMembers;

/** @returns undefined where this node committed to nothing in this round */
export async function readBeacon(folder: string, runId: string, round: number): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(fileOf(folder, runId, round)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

/** What Ready says, durable before it is said: the same again in this round, and nothing where no shards can be. */
export async function commitBeacon(
  folder: string,
  { runId, round }: { runId: string; round: number },
  spec: RunSpec,
): Promise<Uint8Array> {
  if (!mayHaveShards(spec)) return new Uint8Array();
  const kept = await readBeacon(folder, runId, round);
  const random = kept ?? new Uint8Array(randomBytes(32));
  if (!kept) await writePrivateFile(fileOf(folder, runId, round), random);
  return secagg.beaconCommitment(random);
}

/** A coordinator that sees every reveal first could give up each session whose shards it does not like. */
const mostUnrevealed = 2;
const unrevealedSchema = z.record(z.string(), z.array(z.number().int()));
const unrevealedFile = (home: string): string => join(home, 'beacon-misses.json');

async function readUnrevealed(home: string): Promise<Readonly<Record<string, number[]>>> {
  try {
    return unrevealedSchema.parse(JSON.parse(await readFile(unrevealedFile(home), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Written before the reveal leaves: whatever ends the session now, the round counts until its shards are known. */
export async function awaitReveals(home: string, runId: string, round: number): Promise<void> {
  const rounds = await readUnrevealed(home);
  await writePrivateFile(
    unrevealedFile(home),
    JSON.stringify({ ...rounds, [runId]: [...new Set([...(rounds[runId] ?? []), round])] }),
  );
}

/** Every beacon revealed: the count of this run begins anew. */
export async function noteReveals(home: string, runId: string): Promise<void> {
  const { [runId]: gone, ...others } = await readUnrevealed(home);
  if (gone !== undefined) await writePrivateFile(unrevealedFile(home), JSON.stringify(others));
}

/** @throws WEFT_SECAGG_REFUSED */
export async function refuseUnrevealed(home: string, runId: string): Promise<void> {
  const rounds = (await readUnrevealed(home))[runId] ?? [];
  if (rounds.length < mostUnrevealed) return;
  throw new WeftError(
    'WEFT_SECAGG_REFUSED',
    `in ${rounds.length} sessions of this run in a row, rounds ${rounds.join(' and ')}, a beacon did not reveal; ${mostUnrevealed} are the limit, and this node takes no further part in the run`,
  );
}
