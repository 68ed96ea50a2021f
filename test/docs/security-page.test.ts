import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { coordinatorConfigSchema } from '@weft/coordinator';
import { defaultPolicy, writePolicy, type NodeEvent } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openFederation, sentences, type TestFederation } from '../e2e/federation.ts';
import { createWeftProcesses } from '../e2e/weft-processes.ts';
import { securityPage, withPolicyTable } from './policy-table.ts';
import { watchSockets, type Sockets } from './process-sockets.ts';

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

/** Only Linux says of a process what it listens on and whom it reaches. */
const hasSockets = process.platform === 'linux';
const processes = createWeftProcesses();
/** Of a node in a process of its own, and of this process, in which the coordinator runs. */
let nodeSockets: Sockets;
let evaEnded: number | null;
let coordinatorSockets: Sockets;

beforeAll(async () => {
  federation = await openFederation();
  const coordinatorHome = join(federation.folder, 'coordinator');
  const { id } = await federation.createRun({
    aggregation: {},
    // large enough that shards could be drawn, so that the nodes commit to a beacon's bytes
    cohort: { minimum: 3, maximum: 129 },
    rounds: 1,
  });
  const own = hasSockets ? watchSockets(process.pid) : undefined;
  for (const name of ['ana', 'ben']) {
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
  const { home, dataPath } = await federation.join('eva', sentences('eva', 60));
  await writePolicy(home, { ...defaultPolicy, smallestCohort: 3 });
  const start = ['node', 'start', '--home', home, '--data', dataPath, '--threads', '1'];
  const eva = processes.weft(...start, '--until-run-ends', '--json');
  const evas = hasSockets ? watchSockets(eva.child.pid!) : undefined;
  await federation.admin('POST', `/api/runs/${id}/start`);
  await federation.runUntil(id, ({ state }: RunDetailView) => state === 'finished');
  evaEnded = (await eva.exited).code;
  if (evas !== undefined) nodeSockets = evas.end();
  if (own !== undefined) coordinatorSockets = own.end();
  // the node clears up after it has heard of the end
  await vi.waitUntil(() => ![...filesIn(nodeHome).keys()].some((path) => path.startsWith('pending')), 20_000);
  nodeAfter = filesIn(nodeHome);
}, 60_000);
afterAll(async () => {
  processes.killAll();
  await federation.close();
});

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

/** Who listens on what and reaches what, as the page's table of hosts and ports says it. */
const placesOf = (who: string): { listens: string; reaches: string } => {
  const row = new RegExp(`^\\| ${who} \\| (.+?) \\| (.+?) \\|$`, 'm').exec(page.split('## Hosts and ports')[1] ?? '');
  return { listens: row?.[1] ?? 'the page does not say', reaches: row?.[2] ?? 'the page does not say' };
};

test.skipIf(!hasSockets)('a running node listens on nothing and reaches the address of its invite alone', () => {
  const { listens, reaches } = placesOf('node \\(.+?\\)');
  expect(listens).toBe('nothing');
  expect(reaches).toMatch(/^the one address of its invite, over TLS/);
  expect(evaEnded).toBe(0);
  expect([...nodeSockets.listening]).toEqual([]);
  expect([...nodeSockets.reached]).toEqual([federation.coordinator.grpcAddress]);
});

test.skipIf(!hasSockets)('a running coordinator listens on the two ports of the page and reaches nothing', () => {
  const { listens, reaches } = placesOf('coordinator');
  const defaults = coordinatorConfigSchema.parse({});
  const served = {
    grpcPort: federation.coordinator.grpcAddress,
    httpPort: new URL(federation.coordinator.httpUrl).host,
  };
  const named = Array.from(
    listens.matchAll(/(\S+):(\d+) [^,(]*\(`(\w+)`, `(\w+)`/g),
    ([, host, port, hostKey, portKey]) => ({ default: { [hostKey!]: host, [portKey!]: Number(port) }, portKey }),
  );
  expect(defaults).toMatchObject(Object.assign({}, ...named.map((place) => place.default)));
  // the test took free ports; all else is the default
  const expected = named.map(({ portKey }) => served[portKey as keyof typeof served]);
  expect([...coordinatorSockets.listening].toSorted()).toEqual(expected.toSorted());
  expect(reaches).toBe('nothing');
  // two nodes and the admin's hand live in the same process
  const own = [served.grpcPort, served.httpPort];
  expect([...coordinatorSockets.reached].filter((address) => !own.includes(address))).toEqual([]);
});

test("the table of the policy is the code's", () => {
  expect(page).toBe(withPolicyTable(page));
});
