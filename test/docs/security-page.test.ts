import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { NodeEvent } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openFederation, sentences, type TestFederation } from '../e2e/federation.ts';
import { securityPage, withPolicyTable } from './policy-table.ts';

const page = readFileSync(securityPage, 'utf8');

interface Row {
  readonly file: string;
  readonly mode: string;
  readonly kept: string;
}

/** The table below a heading. */
const tableOf = (heading: string): Row[] =>
  Array.from(
    (page.split(heading)[1] ?? '').split('\n##')[0]!.matchAll(/^\| `(.+?)` \| .+? \| (\w+) \| (.+?) \|$/gm),
    ([, file = '', mode = '', kept = '']) => ({ file, mode, kept }),
  );

let federation: TestFederation;
/** Files with their modes, relative to the home. */
type Files = ReadonlyMap<string, number>;
const filesIn = (home: string): Files =>
  new Map(
    globSync('**/*', { cwd: home, exclude: () => false })
      .filter((path) => statSync(join(home, path)).isFile())
      .map((path) => [path, statSync(join(home, path)).mode & 0o777]),
  );
let nodeInMid: Files;
let nodeAfter: Files;
let coordinatorInMid: Files;
let nodeHome: string;

beforeAll(async () => {
  federation = await openFederation();
  const coordinatorHome = join(federation.folder, 'coordinator');
  const { id } = await federation.createRun({
    aggregation: {},
    // large enough that shards could be drawn, so that the nodes commit to a beacon's bytes
    cohort: { minimum: 3, maximum: 129 },
    rounds: 1,
  });
  for (const name of ['ana', 'ben', 'eva']) {
    const place = await federation.join(name, sentences(name, 60));
    const node = await federation.startNode(name, place, {
      policy: { smallestCohort: 3 },
      onEvent(event: NodeEvent) {
        if (event.event !== 'sent' || name !== 'ana') return;
        nodeInMid = filesIn(place.home);
        coordinatorInMid = filesIn(coordinatorHome);
      },
    });
    if (name === 'ana') nodeHome = node.home;
  }
  await federation.admin('POST', `/api/runs/${id}/start`);
  await federation.runUntil(id, ({ state }: RunDetailView) => state === 'finished');
  // the node clears up after it has heard of the end
  await vi.waitUntil(() => ![...filesIn(nodeHome).keys()].some((path) => path.startsWith('pending')), 20_000);
  nodeAfter = filesIn(nodeHome);
}, 60_000);
afterAll(() => federation.close());

const matches = (pattern: string, path: string): boolean =>
  new RegExp(
    `^${pattern.replaceAll('.', '\\.').replaceAll('**', '§').replaceAll('*', '[^/]*').replaceAll('§', '.*')}$`,
  ).test(path);

test.skipIf(process.platform === 'win32').each([
  ["### A node's home", () => nodeInMid],
  ["### A coordinator's home", () => coordinatorInMid],
])('below "%s" each file of a round under way stands with its mode', (heading, files) => {
  const rows = tableOf(heading);
  expect(rows.length).toBeGreaterThan(8);
  const wrong = [...files()].flatMap(([path, mode]) => {
    const row = rows.find(({ file }) => matches(file, path));
    if (row === undefined) return [`${path} is not on the page`];
    return row.mode === 'any' || row.mode === mode.toString(8)
      ? []
      : [`${path} has ${mode.toString(8)}, not ${row.mode}`];
  });
  expect(wrong).toEqual([]);
});

test('what is kept until a round ends was there in its middle and is gone after it', () => {
  const passing = tableOf("### A node's home").filter(({ kept }) => kept === 'until the round ends');
  expect(passing.map(({ file }) => file)).toEqual([
    'pending/*.json',
    'pending/*.payload',
    'pending/*.masked',
    'pending/*.beacon',
    'pending/*.journal',
  ]);
  for (const { file } of passing) {
    expect(
      [...nodeInMid.keys()].some((path) => matches(file, path)),
      file,
    ).toBe(true);
    expect(
      [...nodeAfter.keys()].some((path) => matches(file, path)),
      file,
    ).toBe(false);
  }
});

test.skipIf(process.platform === 'win32')('homes are folders of their owner alone', () => {
  for (const home of [nodeHome, join(federation.folder, 'coordinator')])
    expect(statSync(home).mode & 0o777).toBe(0o700);
});

test("the table of the policy is the code's", () => {
  expect(page).toBe(withPolicyTable(page));
});
