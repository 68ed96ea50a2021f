import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import { z } from 'zod';
import { readPrivateFile } from './read-private-file.ts';

export const adminTokenFile = 'admin-token';
const runningFile = 'running.json';

const runningSchema = z.object({ pid: z.number(), httpUrl: z.url(), grpcAddress: z.string() });
export type RunningProcess = z.infer<typeof runningSchema>;

/** Where commands find the coordinator that holds this home. It says nothing that must outlive the process. */
export const announceRunning = (home: string, running: RunningProcess): Promise<void> =>
  writeFile(join(home, runningFile), JSON.stringify(running), { mode: 0o600 });

export const forgetRunning = (home: string): Promise<void> => rm(join(home, runningFile), { force: true });

/**
 * What commands need to reach the coordinator of a home; this module loads in a moment, as they must.
 * @throws WEFT_COORDINATOR_HOME, WEFT_ADMIN_UNREACHABLE
 */
export async function findRunning(home: string): Promise<RunningProcess & { readonly adminToken: string }> {
  const token = await readPrivateFile(join(home, adminTokenFile));
  if (token === undefined) throw new WeftError('WEFT_COORDINATOR_HOME', `${home} is not the home of a coordinator`);
  const text = await readPrivateFile(join(home, runningFile));
  if (text === undefined) throw new WeftError('WEFT_ADMIN_UNREACHABLE', `no coordinator runs on the home ${home}`);
  try {
    return { ...runningSchema.parse(JSON.parse(text.toString())), adminToken: token.toString().trim() };
  } catch (cause) {
    throw new WeftError('WEFT_ADMIN_UNREACHABLE', `${join(home, runningFile)} was cut off by a crash`, {}, { cause });
  }
}
