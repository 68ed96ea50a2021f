import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import Database from 'better-sqlite3';

/**
 * One process at a time. SQLite's exclusive lock is the operating system's: it goes when the process does, however that
 * ends, so there is no stale lock to judge.
 * @throws WEFT_HOME_LOCKED
 */
export function lockHome(home: string): { release(): void } {
  const lock = new Database(join(home, 'lock'), { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    if (!(cause instanceof Database.SqliteError) || !cause.code.startsWith('SQLITE_BUSY')) throw cause;
    throw new WeftError('WEFT_HOME_LOCKED', `another coordinator uses the home ${home}`, {}, { cause });
  }
  return { release: () => void lock.close() };
}
