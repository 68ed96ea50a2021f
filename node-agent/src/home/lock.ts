import { closeSync, openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { WeftError } from '@weft/shared';
import Database from 'better-sqlite3';

export interface FolderLock {
  release(): void;
}

export interface HomeLock {
  release(): Promise<void>;
}

/**
 * One process at a time. SQLite's exclusive lock is the operating system's, so it also holds between containers: it goes when
 * the process does, however that ends, and there is no stale lock to judge.
 * @returns undefined where another holds it
 */
export function lockFolder(folder: string): FolderLock | undefined {
  const path = join(folder, 'lock');
  closeSync(openSync(path, 'a', 0o600));
  const lock = new Database(path, { timeout: 0 });
  try {
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return undefined;
    throw error;
  }
  return { release: () => void lock.close() };
}

const holderFile = (home: string): string => join(home, 'lock.pid');

/** Takes the home for this process, and says so to whoever finds it taken. @throws WEFT_HOME_LOCKED */
export async function lockHome(home: string): Promise<HomeLock> {
  const lock = lockFolder(home);
  if (lock === undefined) {
    const pid = await readHolder(home);
    throw new WeftError('WEFT_HOME_LOCKED', `process ${pid ?? 'unknown'} holds the home ${home}`, { pid: pid ?? -1 });
  }
  await writeFile(holderFile(home), `${process.pid}\n`, { mode: 0o600 });
  return {
    async release() {
      await rm(holderFile(home), { force: true });
      lock.release();
    },
  };
}

/** The process that holds the home now, by its own word: in another container its id means nothing here. */
export async function findHolder(home: string): Promise<number | undefined> {
  const pid = await readHolder(home);
  if (pid === undefined) return undefined;
  // What a killed process said of itself stays behind; its lock does not.
  const lock = lockFolder(home);
  lock?.release();
  return lock === undefined ? pid : undefined;
}

async function readHolder(home: string): Promise<number | undefined> {
  const text = await readFile(holderFile(home), 'utf8').catch(() => '');
  return /^\d{1,10}\n$/.test(text) ? Number(text) : undefined;
}
