import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readSent, readStatus, type NodeEvent } from '@weft/node-agent';
import type { NodeView, RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { meanOf, publishedB } from '../e2e/published.ts';
import { runWeft } from '../run-weft.ts';
import { type ChaosFederation, killed, type Place, setUpChaos } from './chaos-federation.ts';

// One federation loses its nodes, one after the other: what a test leaves is what the next one begins with.

const stages = ['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'] as const;
/** Each dies at a stage of the first run's round, and three at one stage of the second run's. */
const first = ['ada', 'bea', 'cai', 'dov', 'eli'];
const second = ['fay', 'gus', 'hal'];
const staying = ['ivo', 'jan', 'kim', 'lea'];

let federation: ChaosFederation;
let place: Place;
const told: { readonly name: string; readonly event: NodeEvent }[] = [];
let firstRun: string;
let secondRun: string;

beforeAll(async () => {
  federation = await setUpChaos({
    names: [...first, ...second, ...staying],
    specs: [],
    policy: { smallestCohort: 4 },
    leaseMs: 4000,
  });
  place = await federation.open();
  const onEvent = (name: string) => (event: NodeEvent) => void told.push({ name, event });
  for (const name of staying) await place.startAgent(name, { untilRunEnds: false, onEvent: onEvent(name) });
}, 120_000);
afterAll(async () => {
  await place.close();
  await federation.close();
});

const show = (id: string): Promise<RunDetailView> => place.coordinator.admin('GET', `/api/runs/${id}`);
const hasEnded = ({ state }: RunDetailView): boolean => state !== 'created' && state !== 'running';
async function runUntil(id: string, matches: (run: RunDetailView) => boolean): Promise<RunDetailView> {
  await vi.waitUntil(async () => matches(await show(id)), { timeout: 60_000, interval: 50 });
  return show(id);
}

/** With everyone who is to be in its first round. */
async function startRun(members: number, rounds: number): Promise<string> {
  const id = await place.createRun({
    aggregation: { mode: 'secure', clipNormL2: 10, weighting: 'uniform' },
    cohort: { minimum: 4, maximum: members },
    evaluation: { heldOutShare: 0 },
    rounds,
  });
  const connected = async (): Promise<number> =>
    (await place.coordinator.admin<NodeView[]>('GET', '/api/nodes')).filter((node) => node.connected).length;
  await vi.waitUntil(async () => (await connected()) === members, { timeout: 60_000, interval: 50 });
  await place.coordinator.admin('POST', `/api/runs/${id}/start`);
  return id;
}

const heldBy = (names: readonly string[]): Promise<Uint8Array[]> => Promise.all(names.map((name) => place.held(name)));

/** To the bit: what the nodes held before any mask, added up by their own arithmetic. */
async function expectSumOf(run: RunDetailView, names: readonly string[]): Promise<void> {
  const published = await publishedB(place.coordinator, run.id);
  expect(published).toEqual(Float32Array.from(meanOf(run, await heldBy(names), published.length)));
  // It tells who is in it: with one more or one less it is another.
  expect(published).not.toEqual(Float32Array.from(meanOf(run, await heldBy(names.slice(1)), published.length)));
}

test(
  'nodes killed for good at each stage of one round leave the exact sum over those whose input was there',
  { timeout: 240_000 },
  async () => {
    const dying = first.map((name, at) => ({ name, life: place.startProcess(name, stages[at]) }));
    for (const name of second) await place.startAgent(name);
    firstRun = await startRun(12, 1);
    await Promise.all(dying.map(({ name, life }) => killed(life, name)));
    const run = await runUntil(firstRun, hasEnded);
    // Of eleven that sent keys seven must sign and open: as many as are left.
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
    expect(run.roundsDone).toHaveLength(1);
    expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 9 });
    await expectSumOf(run, ['dov', 'eli', ...second, ...staying]);
  },
);

test(
  'whoever comes back after the end is told so, deletes what it kept of the session, and shows it to its operator',
  { timeout: 240_000 },
  async () => {
    for (const [at, name] of first.entries()) {
      const home = place.home(name);
      expect(await readdir(join(home, 'pending'))).toContainEqual(expect.stringMatching(/\.journal$/));
      const agent = await place.startAgent(name);
      // It asks, and ends by itself: by then the log has shown it the round, too, if its input had left.
      await agent.finished;
      expect(await readdir(join(home, 'pending'))).toEqual([]);
      const { runs, log } = await readStatus(home);
      expect(runs).toMatchObject([{ runId: firstRun, round: 0, outcome: 'finished' }]);
      expect(log).toMatchObject({ owedRounds: 0, distrusted: [] });
      const kinds = (await readSent(home)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === 'run')).toHaveLength(1);
      // The vector leaves before the message about it, and nothing left again, whatever was written down.
      expect(kinds.filter((kind) => kind === 'update')).toHaveLength(at >= 2 ? 1 : 0);
      expect(kinds.filter((kind) => kind === 'log')).toHaveLength(at > 2 ? 1 : 0);
    }
    const [status, history] = await Promise.all(
      ['status', 'history'].map((command) => runWeft(['node', command, '--home', place.home('ada')])),
    );
    expect(status!.stdout).toContain(`"chaos" (${firstRun}): finished`);
    expect(history!.stdout).toContain('The run "chaos" is finished');
  },
);

test(
  'a round that loses more than it can is given up with the reason, and the next one commits without them',
  { timeout: 240_000 },
  async () => {
    const dying = second.map((name) => ({ name, life: place.startProcess(name, 'maskedInput') }));
    secondRun = await startRun(7, 2);
    await Promise.all(dying.map(({ name, life }) => killed(life, name)));
    await runUntil(secondRun, ({ roundsCommitted }) => roundsCommitted === 1);
    // Before it goes on: the sum of its first committed round is what is looked at.
    await place.coordinator.admin('POST', `/api/runs/${secondRun}/pause`);
    const run = await show(secondRun);
    const reason = '4 members sent an input; 5 must survive';
    expect(run.roundsDone[0]).toMatchObject({ round: 0, adapterAfter: null, reason });
    expect(run.roundsDone[1]).toMatchObject({ round: 1, contributors: 4 });
    const { stdout } = await runWeft(['run', 'show', secondRun, '--json', '--home', place.home('coordinator')]);
    expect(stdout).toContain(reason);
    for (const name of staying) {
      const events = told.filter((entry) => entry.name === name).map(({ event }) => event);
      const ends = events.filter((event) => event.event === 'round-ended' && event.runId === secondRun);
      expect(ends[0]).toMatchObject({ round: 0, committed: false, code: 'WEFT_SECAGG_ABORTED' });
      expect(ends[1]).toMatchObject({ round: 1, committed: true });
      const shown = events.filter((event) => event.event === 'log-shown' && event.runId === secondRun);
      expect(shown[0]).toMatchObject({ round: 0, end: 'abort' });
    }
  },
);

test(
  'whoever comes back while the run goes on is told how its round ended, and when the run does',
  { timeout: 240_000 },
  async () => {
    const events: NodeEvent[] = [];
    const roundEnded = Promise.withResolvers<void>();
    const agent = await place.startAgent('fay', {
      onEvent(event) {
        events.push(event);
        if (event.event === 'round-ended') roundEnded.resolve();
      },
    });
    await roundEnded.promise;
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'round-ended', runId: secondRun, round: 0, code: 'WEFT_SECAGG_ABORTED' }),
    );
    await place.coordinator.admin('POST', `/api/runs/${secondRun}/stop`);
    await agent.finished;
    expect(await readdir(join(place.home('fay'), 'pending'))).toEqual([]);
    expect((await readStatus(place.home('fay'))).runs.at(-1)).toMatchObject({ runId: secondRun, outcome: 'stopped' });
  },
);
