import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import process from 'node:process';
import { WeftError } from '@weft/shared';

/** Who holds a home. A process id alone is not enough: after a restart or in a container it soon means another process. */
interface Holder {
  readonly pid: number;
  readonly startedAt: string;
}

export interface HomeLock {
  release(): Promise<void>;
}

/**
 * Takes the home for this process: a file that `link` creates atomically. A lock whose process is gone is taken over.
 * @throws WEFT_HOME_LOCKED
 */
export async function lockHome(home: string): Promise<HomeLock> {
  const path = join(home, 'lock');
  const own: Holder = { pid: process.pid, startedAt: startOf(process.pid) ?? '' };
  const text = JSON.stringify(own);
  const candidate = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(candidate, text, { mode: 0o600 });
  try {
    while (!(await linked(candidate, path))) await removeStale(path, home);
  } finally {
    await rm(candidate, { force: true });
  }
  return {
    async release() {
      if ((await readFile(path, 'utf8').catch(() => '')) === text) await rm(path, { force: true });
    },
  };
}

/** The process that holds the home now, without taking it. */
export async function findHolder(home: string): Promise<number | undefined> {
  const holder = parseHolder(await readFile(join(home, 'lock'), 'utf8').catch(() => ''));
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

async function linked(candidate: string, path: string): Promise<boolean> {
  try {
    await link(candidate, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeStale(path: string, home: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const holder = parseHolder(text);
  if (holder !== undefined && isAlive(holder)) {
    throw new WeftError('WEFT_HOME_LOCKED', `process ${holder.pid} holds the home ${home}`, { pid: holder.pid });
  }
  // Two processes may find the same stale lock: only the one that renames it removes it, and a fresh lock is put back.
  const aside = `${path}.stale.${randomBytes(6).toString('hex')}`;
  await rename(path, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => undefined);
  if (moved !== undefined && moved !== text) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startedAt } = JSON.parse(text) as Partial<Holder>;
    return Number.isSafeInteger(pid) && typeof startedAt === 'string' ? { pid: pid!, startedAt } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, startedAt }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const actual = startOf(pid);
  return actual === undefined || startedAt === '' || actual === startedAt;
}

/** Boot and start time of a process where Linux tells them (proc(5), field 22 of stat); undefined elsewhere. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // the second field is the command in brackets and may itself hold spaces and brackets
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? undefined : `${boot}/${ticks}`;
  } catch {
    return undefined;
  }
}
