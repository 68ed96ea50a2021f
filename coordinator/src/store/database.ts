import { WeftError } from '@weft/shared';
import Database from 'better-sqlite3';
import { schemaSql, schemaVersion } from './event-table.ts';

/** @throws WEFT_STORE_CORRUPT, WEFT_STORE_VERSION, WEFT_DISK_FULL */
export function openDatabase(file: string): Database.Database {
  return translateErrors(file, () => {
    const client = new Database(file);
    try {
      client.pragma('journal_mode = WAL');
      // The driver falls back to NORMAL on reopening a WAL file; then a power cut could take acknowledged rows with it.
      client.pragma('synchronous = FULL');
      client.pragma('busy_timeout = 5000');
      const found = client.pragma('quick_check(1)', { simple: true });
      if (found !== 'ok') throw new WeftError('WEFT_STORE_CORRUPT', `${file} fails SQLite's check: ${String(found)}`);
      const version = Number(client.pragma('user_version', { simple: true }));
      if (version > schemaVersion) {
        throw new WeftError(
          'WEFT_STORE_VERSION',
          `${file} has form ${version}, this version of Weft reads up to ${schemaVersion}`,
        );
      }
      if (version === 0) {
        client.transaction(() => {
          client.exec(schemaSql);
          client.pragma(`user_version = ${schemaVersion}`);
        })();
      }
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  });
}

/** SQLite's errors in the catalogue's words. */
export function translateErrors<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const cause = sqliteError(error);
    if (cause === undefined) throw error;
    if (cause.code === 'SQLITE_FULL')
      throw new WeftError('WEFT_DISK_FULL', `the disk was full while ${file} was written`, {}, { cause });
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(cause.code)) {
      throw new WeftError('WEFT_STORE_CORRUPT', `${file} is damaged: ${cause.message}`, {}, { cause });
    }
    throw error;
  }
}

/** drizzle wraps what the driver throws. */
const sqliteError = (error: unknown): InstanceType<typeof Database.SqliteError> | undefined => {
  for (let inner = error; inner instanceof Error; inner = inner.cause)
    if (inner instanceof Database.SqliteError) return inner;
  return undefined;
};
