import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secagg, type log, type RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runWeft, type Finished } from '../run-weft.ts';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
let run: RunDetailView;
/** Each is a process of its own. */
const nodes: Promise<Finished>[] = [];
const policies: Finished[] = [];
const names = ['ana', 'ben', 'eva'];
const folder = (): string => join(federation.folder, 'coordinator', 'log');
const manifestOf = (at: string, round = 1): string => join(at, 'rounds', run.id, `${round}.json`);
const readManifest = async (at: string): Promise<log.RoundManifest> =>
  JSON.parse(await readFile(manifestOf(at), 'utf8')) as log.RoundManifest;

beforeAll(async () => {
  federation = await openFederation();
  const places = [];
  for (const name of names) places.push(await federation.join(name, sentences(name, 60)));
  const { id } = await federation.createRun({
    aggregation: {
      mode: 'secure',
      clipNormL2: 1,
      weighting: 'uniform',
      secure: { publishInputs: true },
      server: { optimizer: 'fedavgm', learningRate: 1, momentum: 0.5 },
    },
    cohort: { minimum: 3, maximum: 3, quorum: 1 },
    evaluation: { heldOutShare: 0 },
    privacy: { noiseMultiplier: 0.25, adaptiveClipping: true },
    rounds: 2,
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  const policy = ['--yes', '--smallest-cohort', '3', '--publish-masked-inputs', 'yes'];
  for (const { home, dataPath } of places) {
    policies.push(await runWeft(['node', 'policy', 'init', '--home', home, ...policy]));
    const argv = ['node', 'start', '--home', home, '--data', dataPath, '--threads', '1', '--until-run-ends'];
    nodes.push(runWeft(argv));
  }
  run = await federation.runUntil(id, ({ state }) => state !== 'created' && state !== 'running');
}, 120_000);
afterAll(() => federation.close());

const verify = (place: string, ...more: string[]) =>
  runWeft(['log', 'verify', place, '--run', run.id, '--recompute', '--model', federation.modelPath, ...more]);

/** A copy of the log with something done to it. */
async function tampered(name: string, change: (copy: string) => Promise<void>): Promise<string> {
  const copy = join(federation.folder, name);
  await cp(folder(), copy, { recursive: true });
  await change(copy);
  return copy;
}

/** Changes a byte of a body. @returns its new hash, which names it in the manifest too where `hides` is said */
async function flip(copy: string, hash: string, { hides = false, at = 100 } = {}): Promise<void> {
  const file = join(copy, 'bodies', hash);
  const bytes = await readFile(file);
  bytes[at]! ^= 1;
  await writeFile(file, bytes);
  if (!hides) return;
  const other = createHash('sha256').update(bytes).digest('hex');
  await rename(file, join(copy, 'bodies', other));
  const manifest = await readFile(manifestOf(copy), 'utf8');
  await writeFile(manifestOf(copy), manifest.replaceAll(hash, other));
}

const resultEntry = async (): Promise<number> => {
  const { stdout } = await runWeft(['log', 'show', folder(), '--run', run.id, '--json']);
  const leaves = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { entry: number; name: string });
  return leaves.filter(({ name }) => name === 'result')[1]!.entry;
};

describe('a run that publishes its masked inputs', () => {
  test('is recomputed by anyone, from the seed to the adapter', async () => {
    for (const ended of [...policies, ...(await Promise.all(nodes))]) expect(ended).toMatchObject({ status: 0 });
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 2 });
    const { status, stdout, stderr } = await verify(federation.coordinator.httpUrl, '--adapter', run.adapterSha256!);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('follows from the run’s seed 3');
    expect(stdout).toMatch(/holds {8}entry \d+: round 2: 3 members signed the offer/);
    expect(stdout).toContain('round 2: 3 masked updates are the ones that their members signed');
    expect(stdout).toContain(
      `round 2: unmasked, decoded and applied to the adapter before, they make adapter ${run.adapterSha256}`,
    );
    // The second round's norm is the one that the first round's result names.
    const moved = (round: number): string[] =>
      new RegExp(`round ${round + 1}: clipped to ([0-9.]+), and from here on to ([0-9.]+), as`).exec(stdout)!.slice(1);
    expect(moved(0)[0]).toBe('1');
    expect(moved(1)[0]).toBe(moved(0)[1]);
    expect(stdout).not.toContain('no access');
  });

  test('is never said to add up by one who lacks the base model or the bodies', async () => {
    const without = await runWeft(['log', 'verify', folder(), '--run', run.id, '--recompute']);
    expect(without.status).toBe(0);
    expect(without.stdout).toMatch(/not checked {2}entry \d+: that the first adapter, .* no access to the base model/);
    expect(without.stdout).toContain('masked updates are the ones');
    expect(without.stdout).not.toContain('they make adapter');
    const bare = await tampered('bare', async (copy) => {
      const { inputs } = await readManifest(copy);
      await rename(join(copy, 'bodies', inputs[0]!.vector), join(copy, 'taken'));
    });
    const missing = await verify(bare);
    expect(missing.status).toBe(0);
    expect(missing.stdout).toMatch(
      /not checked .*round 2: that the updates add up to the result: no access to the masked vector/,
    );
    expect(missing.stdout).not.toContain(`they make adapter ${run.adapterSha256}`);
  });

  test('with one byte of a vector changed names the entry and who keeps it, or the coordinator where that is hidden', async () => {
    const entry = await resultEntry();
    for (const hides of [false, true]) {
      const copy = await tampered(`vector-${hides}`, async (place) => {
        const { inputs } = await readManifest(place);
        await flip(place, inputs[1]!.vector, { hides });
      });
      const { status, stderr, stdout } = await verify(copy);
      expect(status).toBe(3);
      expect(stderr).toContain('WEFT_LOG_REFUTED');
      expect(stderr).toContain(`entry ${entry}: the`);
      expect(stderr).toContain(
        hides ? '(at fault: the coordinator)' : '(at fault: whoever keeps or serves these files)',
      );
      expect(stdout).not.toContain(`they make adapter ${run.adapterSha256}`);
    }
  });

  test('with one byte of an opening changed names the member whose signature no longer holds', async () => {
    const copy = await tampered('opening', async (place) => {
      const { messages } = await readManifest(place);
      const opening = messages.find(({ kind }) => kind === 'opening') as { body: string };
      const bytes = await readFile(join(place, 'bodies', opening.body));
      // behind the header and the cut's hash: a share
      await flip(place, opening.body, { hides: true, at: bytes.length - 1 });
      const { index } = secagg.decodeBody('opening', bytes);
      expect(index).toBeLessThan(3);
    });
    const { status, stderr } = await verify(copy);
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /entry \d+: the opening of n_[0-9a-f]{32} is not signed by it \(at fault: the coordinator\)/,
    );
  });

  test('with one byte of the adapter before it changed names the round', async () => {
    for (const hides of [false, true]) {
      const copy = await tampered(`adapter-${hides}`, async (place) => {
        const { previousAdapter } = await readManifest(place);
        const { length } = await readFile(join(place, 'bodies', previousAdapter));
        await flip(place, previousAdapter, { hides, at: length - 2 });
      });
      const { status, stderr } = await verify(copy);
      expect(status).toBe(3);
      expect(stderr).toContain(`entry ${await resultEntry()}: the adapter`);
    }
  });

  test('keeps its bodies for the window and no longer', async () => {
    expect(await readdir(join(folder(), 'rounds', run.id))).toEqual(['0.json', '1.json']);
    expect((await readManifest(folder())).until).toBeGreaterThan(Date.now() + 29 * 24 * 3600 * 1000);
  });
});
