import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runDetailViewSchema, type RunDetailView } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore } from '../store/store.ts';
import { points } from './points.ts';

const program = fileURLToPath(new URL('loopback-process.ts', import.meta.url));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-recovery-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function runProcess(
  home: string,
  ...kill: string[]
): Promise<{ signal: NodeJS.Signals | null; shown?: RunDetailView }> {
  const child = spawn(process.execPath, [program, home, ...kill], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...end) => resolve(end)),
  );
  if (signal === null) expect(exitCode).toBe(0);
  return { signal, ...(output !== '' && { shown: runDetailViewSchema.parse(JSON.parse(output)) }) };
}

/** test/chaos kills a coordinator with real agents; here the table itself is looked at after each blow. */
test(
  'killed at one point after the other, every acknowledged update stays and counts once',
  { timeout: 180_000 },
  async () => {
    const { shown: unbroken } = await runProcess(join(folder, 'unbroken'));
    expect(unbroken?.state).toBe('finished');

    const home = join(folder, 'broken');
    let acknowledged: unknown[] = [];
    // This coordinator keeps no log beside its rows.
    for (const point of points.filter((name) => name !== 'before-checkpoint' && name !== 'before-manifest')) {
      expect((await runProcess(home, point)).signal, point).toBe('SIGKILL');
      const store = openStore(home);
      const accepted = store.read({ kinds: ['update.accepted'] });
      store.close();
      expect(accepted.slice(0, acknowledged.length), point).toEqual(acknowledged);
      acknowledged = accepted;
    }
    const { shown } = await runProcess(home);
    expect(shown).toMatchObject({ state: 'finished', id: unbroken!.id, adapterSha256: unbroken!.adapterSha256 });
    const adapters = (run: RunDetailView) => run.roundsDone.map(({ round, adapterAfter }) => [round, adapterAfter]);
    expect(adapters(shown!)).toEqual(adapters(unbroken!));

    const store = openStore(home);
    const accepted = store.read({ kinds: ['update.accepted'] });
    const scored = store.read({ kinds: ['gate.scored'] });
    store.close();
    // The first adapter and one of each round, each scored once however often the process died meanwhile.
    expect(scored).toHaveLength(4);
    expect(accepted).toHaveLength(9);
    expect(new Set(accepted.map(({ round, nodeId }) => `${round} ${nodeId}`)).size).toBe(9);
    expect(await readdir(join(home, 'blobs', 'updates'))).toEqual(['partial']);
    expect(await readdir(join(home, 'blobs', 'updates', 'partial'))).toEqual([]);
  },
);
