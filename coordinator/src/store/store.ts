import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import type Database from 'better-sqlite3';
import { and, eq, gt, inArray, type SQL } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { openDatabase, translateErrors } from './database.ts';
import { events } from './event-table.ts';
import { eventSchemas, isEventKind, type EventKind, type NewEvent, type StoredEvent } from './events.ts';

export interface EventQuery<K extends EventKind = EventKind> {
  readonly afterSeq?: number;
  readonly runId?: string;
  readonly round?: number;
  readonly nodeId?: string;
  readonly kinds?: readonly K[];
  readonly limit?: number;
}

/** The event table. */
export interface Store {
  /** All or none of the rows, in one transaction; they are on the disk when this returns. */
  append(rows: readonly NewEvent[]): StoredEvent[];
  append<K extends EventKind>(row: NewEvent<K>): StoredEvent<K>;
  /** In the order in which they were appended. */
  read<K extends EventKind = EventKind>(query?: EventQuery<K>): StoredEvent<K>[];
  /** Called for each row after it is durable, in order. @returns ends the subscription */
  subscribe(listener: (event: StoredEvent) => void): () => void;
  close(): void;
}

/**
 * Opens or creates `weft.db` in the coordinator's home.
 * @throws WEFT_STORE_CORRUPT, WEFT_STORE_VERSION, WEFT_DISK_FULL
 */
export function openStore(homeDir: string, { now = Date.now }: { now?: () => number } = {}): Store {
  mkdirSync(homeDir, { recursive: true, mode: 0o700 });
  return createStore(openDatabase(join(homeDir, 'weft.db')), now);
}

export function createStore(client: Database.Database, now: () => number): Store {
  const file = client.name;
  const db = drizzle(client);
  const listeners = new Set<(event: StoredEvent) => void>();
  const undelivered: StoredEvent[] = [];
  let delivering = false;

  // A listener may append too: its rows are told after the ones before them, to everyone in the same order.
  const deliver = (): void => {
    if (delivering) return;
    delivering = true;
    for (let event = undelivered.shift(); event !== undefined; event = undelivered.shift()) {
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          // The row is durable whatever a listener makes of it.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
    delivering = false;
  };

  const appendAll = (rows: readonly NewEvent[]): StoredEvent[] => {
    const checked = rows.map((row) => ({ ...row, at: row.at ?? now(), data: checkData(row.kind, row.data) }));
    const stored = translateErrors(file, () =>
      db.transaction((tx) =>
        checked.map((row) => {
          const { seq } = tx.insert(events).values(row).returning({ seq: events.seq }).get();
          return { ...row, seq } as StoredEvent;
        }),
      ),
    );
    undelivered.push(...stored);
    deliver();
    return stored;
  };

  return {
    append: ((rows: NewEvent | readonly NewEvent[]) =>
      Array.isArray(rows) ? appendAll(rows) : appendAll([rows as NewEvent])[0]) as Store['append'],
    read<K extends EventKind>({ afterSeq, runId, round, nodeId, kinds, limit }: EventQuery<K> = {}) {
      const conditions: (SQL | undefined)[] = [
        afterSeq === undefined ? undefined : gt(events.seq, afterSeq),
        runId === undefined ? undefined : eq(events.runId, runId),
        round === undefined ? undefined : eq(events.round, round),
        nodeId === undefined ? undefined : eq(events.nodeId, nodeId),
        kinds === undefined ? undefined : inArray(events.kind, [...kinds]),
      ];
      const query = db
        .select()
        .from(events)
        .where(and(...conditions))
        .orderBy(events.seq);
      return translateErrors(file, () =>
        (limit === undefined ? query : query.limit(limit)).all().map(toEvent),
      ) as StoredEvent<K>[];
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => void client.close(),
  };
}

function toEvent(row: typeof events.$inferSelect): StoredEvent {
  const { seq, at, kind, runId, round, nodeId, data } = row;
  if (!isEventKind(kind)) throw new WeftError('WEFT_STORE_CORRUPT', `event ${seq} is of the unknown kind ${kind}`);
  const parsed = eventSchemas[kind].safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new WeftError(
      'WEFT_STORE_CORRUPT',
      `event ${seq} (${kind}): ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    );
  }
  return {
    seq,
    at,
    kind,
    ...(runId !== null && { runId }),
    ...(round !== null && { round }),
    ...(nodeId !== null && { nodeId }),
    data: parsed.data,
  } as StoredEvent;
}

function checkData(kind: EventKind, data: unknown): unknown {
  const parsed = eventSchemas[kind].safeParse(data);
  if (parsed.success) return parsed.data;
  throw new WeftError(
    'WEFT_INTERNAL',
    `a ${kind} event does not fit its schema: ${parsed.error.message}`,
    {},
    { cause: parsed.error },
  );
}
