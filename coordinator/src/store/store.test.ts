import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError, sha256, type NodeId, type RunId } from '@weft/shared';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StoredEvent } from './events.ts';
import { openDatabase } from './database.ts';
import { createStore, openStore } from './store.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-store-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const runId = `r_${'1'.repeat(32)}` as RunId;
const nodeId = `n_${'2'.repeat(32)}` as NodeId;
const code = (work: () => unknown): string => {
  try {
    work();
    return 'nothing was thrown';
  } catch (error) {
    return isWeftError(error) ? error.code : String(error);
  }
};

test('rows come back in order, filtered, and after reopening', () => {
  const store = openStore(home, { now: () => 7 });
  const [started, phase] = store.append([
    { kind: 'run.started', runId, data: {} },
    { kind: 'round.phase', runId, round: 0, at: 9, data: { phase: 'training' } },
  ]);
  store.append({ kind: 'node.left', runId, round: 0, nodeId, data: { cause: 'lease', silentMs: 5 } });
  expect(started).toEqual({ seq: 1, at: 7, kind: 'run.started', runId, data: {} });
  store.close();

  const again = openStore(home);
  expect(again.read().map(({ kind }) => kind)).toEqual(['run.started', 'round.phase', 'node.left']);
  expect(again.read({ afterSeq: 1, runId, round: 0, kinds: ['round.phase'] })).toEqual([phase]);
  expect(again.read({ nodeId, limit: 1 })).toHaveLength(1);
  expect(again.read({ runId: 'r_other' })).toEqual([]);
  again.close();
});

test('all rows of one append are stored or none', () => {
  const store = openStore(home);
  expect(
    code(() =>
      store.append([
        { kind: 'run.started', runId, data: {} },
        { kind: 'node.left', runId, data: { cause: 'lease', silentMs: -1 } },
      ]),
    ),
  ).toBe('WEFT_INTERNAL');
  expect(store.read()).toEqual([]);
  store.close();
});

test('subscribers hear each row once, in order, also when one of them appends', () => {
  const store = openStore(home);
  const heard: StoredEvent[] = [];
  store.subscribe((event) => {
    if (event.kind === 'run.started') store.append({ kind: 'run.paused', runId, data: {} });
  });
  const stop = store.subscribe((event) => heard.push(event));
  store.append([
    { kind: 'run.started', runId, data: {} },
    { kind: 'run.resumed', runId, data: {} },
  ]);
  stop();
  store.append({ kind: 'run.stopped', runId, data: {} });
  expect(heard.map(({ kind }) => kind)).toEqual(['run.started', 'run.resumed', 'run.paused']);
  store.close();
});

test('rows cannot be changed or removed, and every open waits for the disk', () => {
  openStore(home).close();
  const store = openStore(home);
  store.append({ kind: 'run.started', runId, data: {} });
  const client = new Database(join(home, 'weft.db'));
  expect(() => client.exec("UPDATE events SET kind = 'run.stopped'")).toThrow(/append-only/);
  expect(() => client.exec('DELETE FROM events')).toThrow(/append-only/);
  expect(client.pragma('journal_mode', { simple: true })).toBe('wal');
  client.close();
  store.close();
  const reopened = openDatabase(join(home, 'weft.db'));
  expect(reopened.pragma('synchronous', { simple: true })).toBe(2);
  reopened.close();
});

test('a full disk is named, loses no earlier row, and is no obstacle once there is room', () => {
  const client = openDatabase(join(home, 'weft.db'));
  client.pragma('max_page_count = 20');
  const store = createStore(client, () => 1);
  let stored = 0;
  const fill = () => {
    for (; stored < 10_000; stored++)
      store.append({ kind: 'invite.used', data: { tokenSha256: sha256(String(stored)) } });
  };
  expect(code(fill)).toBe('WEFT_DISK_FULL');
  expect(store.read()).toHaveLength(stored);
  client.pragma('max_page_count = 1000');
  store.append({ kind: 'run.started', runId, data: {} });
  expect(store.read()).toHaveLength(stored + 1);
  store.close();
});

test('a damaged file, one of a newer form, and a row that no schema knows are named as such', async () => {
  await writeFile(join(home, 'weft.db'), Buffer.alloc(8192, 'x'));
  expect(code(() => openStore(home))).toBe('WEFT_STORE_CORRUPT');
  await rm(join(home, 'weft.db'));

  const store = openStore(home);
  for (let i = 0; i < 300; i++) store.append({ kind: 'invite.used', data: { tokenSha256: sha256(String(i)) } });
  store.close();
  const client = new Database(join(home, 'weft.db'));
  client.exec("INSERT INTO events (at, kind, data) VALUES (1, 'run.exploded', '{}')");
  client.close();
  const reopened = openStore(home);
  expect(code(() => reopened.read())).toBe('WEFT_STORE_CORRUPT');
  reopened.close();

  const newer = new Database(join(home, 'weft.db'));
  newer.pragma('user_version = 99');
  newer.close();
  expect(code(() => openStore(home))).toBe('WEFT_STORE_VERSION');
  await truncate(join(home, 'weft.db'), 12_288);
  expect(code(() => openStore(home))).toBe('WEFT_STORE_CORRUPT');
});
