import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runDetailViewSchema, type RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../store/store.ts';
import { points, type Point } from './points.ts';

const program = fileURLToPath(new URL('loopback-process.ts', import.meta.url));
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));
const newHome = async (): Promise<string> => {
  const home = await mkdtemp(join(tmpdir(), 'weft-recovery-'));
  folders.push(home);
  return home;
};

async function runProcess(home: string, ...kill: string[]): Promise<{ signal: NodeJS.Signals | null; shown?: RunDetailView }> {
  const child = spawn(process.execPath, [program, home, ...kill], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => child.on('close', (...end) => resolve(end)));
  if (signal === null) expect(exitCode).toBe(0);
  return { signal, ...(output !== '' && { shown: runDetailViewSchema.parse(JSON.parse(output)) }) };
}

let unbroken: RunDetailView;
beforeAll(async () => {
  unbroken = (await runProcess(await newHome())).shown!;
  expect(unbroken.state).toBe('finished');
});

/** Somewhere in the middle of the three rounds. */
const passings: Record<Point, number> = {
  'mid-upload': 5,
  'before-event-row': 2,
  'after-event-row': 5,
  'before-receipt': 3,
  'after-receipt': 4,
  'before-addition': 5,
  'after-addition': 2,
  'before-commit': 2,
  'after-commit': 1,
};

test.each(points)('killed at %s, the same round goes on and ends in the same bits', async (point) => {
  const home = await newHome();
  expect((await runProcess(home, point, String(passings[point]))).signal).toBe('SIGKILL');
  const before = openStore(home);
  const acknowledged = before.read({ kinds: ['update.accepted'] });
  const rounds = before.read({ kinds: ['round.started'] });
  before.close();
  expect(rounds.length).toBeGreaterThan(0);

  const { shown } = await runProcess(home);
  expect(shown).toMatchObject({ state: 'finished', id: unbroken.id, adapterSha256: unbroken.adapterSha256 });
  expect(shown!.roundsDone.map(({ round, adapterAfter }) => [round, adapterAfter])).toEqual(
    unbroken.roundsDone.map(({ round, adapterAfter }) => [round, adapterAfter]),
  );
  const after = openStore(home);
  const accepted = after.read({ kinds: ['update.accepted'] });
  after.close();
  expect(accepted.slice(0, acknowledged.length)).toEqual(acknowledged);
  expect(new Set(accepted.map(({ round, nodeId }) => `${round} ${nodeId}`)).size).toBe(9);
  expect(accepted).toHaveLength(9);
  expect(await readdir(join(home, 'blobs', 'updates'))).toEqual(['partial']);
  expect(await readdir(join(home, 'blobs', 'updates', 'partial'))).toEqual([]);
});

test('killed again and again, it still ends in the same bits', async () => {
  const home = await newHome();
  for (const point of points) expect((await runProcess(home, point, '1')).signal).toBe('SIGKILL');
  expect((await runProcess(home)).shown).toMatchObject({ state: 'finished', adapterSha256: unbroken.adapterSha256 });
});
