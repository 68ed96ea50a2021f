import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** The one table: rows are appended, never changed. */
export const events = sqliteTable(
  'events',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    at: integer('at').notNull(),
    kind: text('kind').notNull(),
    runId: text('run_id'),
    round: integer('round'),
    nodeId: text('node_id'),
    data: text('data', { mode: 'json' }).notNull(),
  },
  (table) => [index('events_by_round').on(table.runId, table.round)],
);

/** Kept in SQLite's user_version; a store of a newer form is refused rather than misread. */
export const schemaVersion = 1;

export const schemaSql = `
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  run_id TEXT,
  round INTEGER,
  node_id TEXT,
  data TEXT NOT NULL
);
CREATE INDEX events_by_round ON events (run_id, round);
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
`;
