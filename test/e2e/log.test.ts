import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secagg } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
afterEach(() => federation.close());

test('a node holds every offer against the log that it saw last, and stops where the log is another one', async () => {
  federation = await openFederation();
  const names = ['ana', 'ben', 'eva'];
  const places = await Promise.all(names.map((name) => federation.join(name, sentences(name, 60))));
  const spec = { aggregation: { clipNormL2: 10 }, cohort: { minimum: 3, maximum: 3 }, rounds: 2 };
  const first = await federation.createRun(spec);
  const nodes = await Promise.all(
    names.map((name, at) => federation.startNode(name, places[at]!, { policy: { smallestCohort: 3 } })),
  );
  await federation.admin('POST', `/api/runs/${first.id}/start`);
  const run = await federation.runUntil(first.id, ({ state }) => state !== 'created' && state !== 'running');
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 2 });

  const [home] = places.map((place) => place.home);
  const seenFile = join(home!, 'log-checkpoint.json');
  const seen = JSON.parse(await readFile(seenFile, 'utf8')) as { size: number; root: string; body: string };
  const { logSize, logRoot } = secagg.decodeBody('offer', Buffer.from(seen.body, 'base64'));
  // Three enrolments, a round of five leaves, and the offer of the second one.
  expect([seen.size, Number(logSize)]).toEqual([9, 9]);
  expect(seen.root).toBe(Buffer.from(logRoot).toString('hex'));

  // As if the coordinator had shown it another history up to here.
  await writeFile(
    seenFile,
    JSON.stringify({ ...seen, root: seen.root.replace(/^../, (byte) => (byte === '00' ? '01' : '00')) }),
  );
  const second = await federation.createRun(spec);
  await federation.admin('POST', `/api/runs/${second.id}/start`);
  const refusal = await nodes[0]!.event('declined', ({ runId }) => runId === second.id);
  expect(refusal.code).toBe('WEFT_SECAGG_REFUSED');
  await federation.admin('POST', `/api/runs/${second.id}/stop`);
  const [evidence] = await readdir(join(home!, 'evidence'));
  const kept = JSON.parse(await readFile(join(home!, 'evidence', evidence!), 'utf8')) as {
    about: string;
    statements: { body: string }[];
  };
  expect(kept.about).toBe('two logs of one federation');
  expect(kept.statements[0]!.body).toBe(seen.body);
  expect(kept.statements).toHaveLength(2);
}, 120_000);
