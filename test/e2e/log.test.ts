import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createIdentity, type Identity } from '@weft/shared';
import { afterEach, expect, test, vi } from 'vitest';
import { runWeft } from '../run-weft.ts';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const names = ['ana', 'ben', 'eva'];
const spec = { aggregation: { clipNormL2: 10 }, cohort: { minimum: 3, maximum: 3 }, rounds: 2 };

test('a node is shown the end of each round in the log, holds every offer against it, and stops where it is another one', async () => {
  federation = await openFederation();
  const places = await Promise.all(names.map((name) => federation.join(name, sentences(name, 60))));
  const first = await federation.createRun(spec);
  const nodes = await Promise.all(
    names.map((name, at) => federation.startNode(name, places[at]!, { policy: { smallestCohort: 3 } })),
  );
  await federation.admin('POST', `/api/runs/${first.id}/start`);
  const run = await federation.runUntil(first.id, ({ state }) => state !== 'created' && state !== 'running');
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 2 });

  // Three enrolments and two rounds of five leaves each.
  for (const node of nodes)
    for (const [round, logSize] of [
      [0, 8],
      [1, 13],
    ] as const) {
      const shown = await node.event('log-shown', (event) => event.round === round);
      expect(shown).toMatchObject({ runId: first.id, end: 'result', leftOut: false });
      expect(shown.logSize).toBeGreaterThanOrEqual(logSize);
      expect(node.events.filter(({ event }) => event === 'log-distrusted')).toEqual([]);
    }
  const [home] = places.map((place) => place.home);
  expect(await readdir(join(home!, 'owed'))).toEqual([]);
  const history = await runWeft(['node', 'history', '--home', home!]);
  expect(history.stdout).toContain('holds the result, with this node');

  const seenFile = join(home!, 'log-checkpoint.json');
  const seen = JSON.parse(await readFile(seenFile, 'utf8')) as { size: number; root: string; checkpoint: string };
  expect(seen.size).toBe(13);

  // As if the coordinator had shown it another history up to here.
  const root = seen.root.replace(/^../, (byte) => (byte === '00' ? '01' : '00'));
  await writeFile(seenFile, JSON.stringify({ ...seen, root }));
  const second = await federation.createRun(spec);
  await federation.admin('POST', `/api/runs/${second.id}/start`);
  const refusal = await nodes[0]!.event('declined', ({ runId }) => runId === second.id);
  expect(['WEFT_SECAGG_REFUSED', 'WEFT_LOG_DISTRUSTED']).toContain(refusal.code);
  const told = await nodes[0]!.event('log-distrusted');
  expect(told).toMatchObject({ check: 'logOnlyGrew', scope: 'federation' });
  await federation.admin('POST', `/api/runs/${second.id}/stop`);
  const kept = JSON.parse(await readFile(join(home!, 'evidence', told.evidence), 'utf8')) as {
    about: string;
    statements: unknown[];
    checkpoints: string[];
  };
  expect(kept.about).toContain('two histories');
  expect(kept.checkpoints[0]).toBe(seen.checkpoint);
  expect(kept.statements.length + kept.checkpoints.length).toBeGreaterThan(1);
}, 120_000);

test('nodes of two organisations cosign what they saw, and weft log verify names both organisations', async () => {
  federation = await openFederation();
  const organisations = [createIdentity().identity, createIdentity().identity];
  const hexOf = ({ publicKey }: Identity): string => Buffer.from(publicKey).toString('hex');
  const places = await Promise.all(
    names.map((name, at) => {
      const organisation = organisations[at];
      return federation.join(name, sentences(name, 60), organisation && { organisation });
    }),
  );
  const run = await federation.createRun({ ...spec, rounds: 1 });
  const policy = { smallestCohort: 3, witness: 'yes' } as const;
  for (const [at, name] of names.entries()) await federation.startNode(name, places[at]!, { policy });
  await federation.admin('POST', `/api/runs/${run.id}/start`);
  await federation.runUntil(run.id, ({ state }) => state === 'finished');
  const folder = join(federation.folder, 'coordinator', 'log');
  // Its own signature, one for each organisation, and that of a node that belongs to none.
  const signatures = async (): Promise<number> =>
    (await readFile(join(folder, 'checkpoint'), 'utf8')).split('\n').filter((line) => line.startsWith('\u2014')).length;
  await vi.waitUntil(async () => (await signatures()) === 4, 60_000);

  const verified = await runWeft(['log', 'verify', federation.coordinator.httpUrl]);
  expect(verified.stderr).toBe('');
  expect(verified.stdout).toMatch(/holds +2 organisations cosigned the checkpoint of 8 entries: /);
  for (const organisation of organisations) expect(verified.stdout).toContain(hexOf(organisation));
  const trusting = await runWeft(['log', 'verify', folder, '--organisation', hexOf(organisations[0]!), '--json']);
  expect(trusting.status).toBe(0);
  expect(trusting.stdout).toContain('1 organisation of the 1 that you trust cosigned the checkpoint of 8 entries');
  // A restart keeps what was signed; nobody else may put lines into it that hold.
  await federation.restart();
  expect((await runWeft(['log', 'verify', folder])).stdout).toContain('2 organisations cosigned');
}, 120_000);
