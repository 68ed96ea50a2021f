import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readSent } from '@weft/node-agent';
import { loraTargets, type NodeView, type RunSpecInput } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation, type TestNode } from './federation.ts';
import { writeTinyModel } from './tiny-model.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const names = ['amina', 'bruno', 'chidi'];

const startNodes = async (count: number): Promise<TestNode[]> => {
  const places = await Promise.all(names.slice(0, count).map((name) => federation.join(name, sentences(name, 120))));
  return Promise.all(places.map((place, i) => federation.startNode(names[i]!, place)));
};

const startRun = async (changes: Partial<RunSpecInput>): Promise<string> => {
  const { id } = await federation.createRun(changes);
  await federation.admin('POST', `/api/runs/${id}/start`);
  return id;
};

const finished = (id: string) => federation.runUntil(id, ({ state }) => state !== 'running');

/** Long enough that something can happen in the middle of it. */
const longTraining = { steps: 150, batchSize: 4, sequenceLength: 32, learningRate: 0.001 };
/** An update of more than one chunk. */
const largeAdapter: RunSpecInput['adapter'] = { rank: 256, alpha: 256, targets: [...loraTargets], schedule: 'fedit' };

test('a coordinator that restarts in mid-training gets the same round, with every update once', async () => {
  federation = await openFederation();
  const nodes = await startNodes(2);
  const id = await startRun({ training: longTraining, rounds: 1 });
  await Promise.all(nodes.map((node) => node.event('training')));
  await federation.restart();
  const run = await finished(id);
  expect(run.state).toBe('finished');
  expect(run.roundsDone.map(({ contributors }) => contributors).filter((count) => count > 0)).toEqual([2]);
  for (const { events, home } of nodes) {
    expect(events.filter(({ event }) => event === 'connected')).toHaveLength(2);
    expect(events.filter(({ event }) => event === 'trained')).toHaveLength(1);
    expect((await readSent(home)).filter(({ kind }) => kind === 'update')).toHaveLength(1);
  }
});

test('an upload that breaks and meets a restart goes on from the bytes that are there', async () => {
  const atCut = Promise.withResolvers<void>();
  let cuts = 0;
  federation = await openFederation({
    onPoint(point) {
      if (point !== 'mid-upload' || cuts++ > 0) return;
      atCut.resolve();
      throw new Error('the upload breaks here');
    },
  });
  const wholeChunks: number[] = [];
  const node = await federation.startNode('amina', await federation.join('amina', sentences('amina', 120)), {
    onSend: ({ length }) => void (length >= 1 << 20 && wholeChunks.push(length)),
  });
  // For so many nodes the ring takes 32 bits, and the update more than one chunk.
  const id = await startRun({ adapter: largeAdapter, cohort: { minimum: 1, maximum: 300 }, rounds: 1 });
  await atCut.promise;
  await federation.restart();
  expect((await finished(id)).state).toBe('finished');
  const [update, ...others] = (await readSent(node.home)).filter((sent) => sent.kind === 'update');
  expect(others).toEqual([]);
  expect(update!.payloadBytes).toBeGreaterThan(1 << 20);
  // the first chunk had arrived before the break: only what comes after it was sent again
  expect(wholeChunks).toHaveLength(1);
});

test('a node that is lost in mid-training does not hold up the others', async () => {
  federation = await openFederation({ timing: { settleMs: 50, retryMs: 50, leaseMs: 1500 } });
  const nodes = await startNodes(3);
  const id = await startRun({ training: longTraining, rounds: 1, cohort: { minimum: 2, maximum: 3 } });
  const lost = nodes[2]!;
  await lost.event('training');
  await lost.agent.stop();
  const run = await finished(id);
  expect(run.state).toBe('finished');
  expect(run.roundsDone[0]!.contributors).toBe(2);
});

test('an agent that was killed after training sends what it has, and does not train again', async () => {
  federation = await openFederation();
  const [amina, bruno] = (await startNodes(2)) as [TestNode, TestNode];
  // the other one is still training, so the cohort is not fixed yet
  const id = await startRun({ training: longTraining, rounds: 1 });
  const { home, dataPath } = amina;
  await amina.event('trained');
  await amina.agent.stop();
  const again = await federation.startNode('amina', { home, dataPath });
  expect((await finished(id)).roundsDone[0]!.contributors).toBe(2);
  expect(again.events.filter(({ event }) => event === 'trained')).toEqual([]);
  expect(bruno.events.some(({ event }) => event === 'sent')).toBe(true);
});

test('a revoked node stops and says why, and the run goes on', async () => {
  federation = await openFederation();
  const nodes = await startNodes(3);
  const id = await startRun({ training: longTraining, rounds: 1, cohort: { minimum: 2, maximum: 3 } });
  const revoked = nodes[0]!;
  await revoked.event('training');
  await federation.admin<NodeView>('POST', `/api/nodes/${revoked.agent.federation.nodeId}/revoke`);
  await expect(revoked.agent.finished).rejects.toMatchObject({ code: 'WEFT_NODE_REVOKED' });
  expect((await finished(id)).roundsDone[0]!.contributors).toBe(2);
  // its key never comes in again
  const again = await federation.startNode('amina', revoked);
  await expect(again.agent.finished).rejects.toMatchObject({ code: 'WEFT_NODE_REVOKED' });
});

test('a node that waits for approval takes part as soon as the admin gives it', async () => {
  federation = await openFederation();
  const place = await federation.join('amina', sentences('amina', 120), { autoApprove: false });
  const node = await federation.startNode('amina', place);
  const id = await startRun({ rounds: 1, cohort: { minimum: 1, maximum: 1 } });
  expect(await node.event('disconnected')).toMatchObject({ code: 'WEFT_NODE_PENDING' });
  await federation.admin('POST', `/api/nodes/${place.nodeId}/approve`);
  expect((await finished(id)).roundsDone[0]!.contributors).toBe(1);
});

test('a drained node sends what it promised and declines what it did not', async () => {
  federation = await openFederation();
  const nodes = await startNodes(3);
  const id = await startRun({ training: longTraining, rounds: 1, cohort: { minimum: 2, maximum: 3 } });
  const [, training] = nodes;
  await training!.event('training');
  training!.drain();
  expect(await training!.agent.finished).toMatchObject({ updates: 0 });
  expect(training!.events).toContainEqual(expect.objectContaining({ event: 'declined', code: 'WEFT_NODE_LEAVING' }));
  const promised = nodes[0]!;
  await promised.event('trained');
  promised.drain();
  expect(await promised.agent.finished).toMatchObject({ updates: 1 });
  expect((await finished(id)).roundsDone[0]!.contributors).toBe(2);
});

const downloadTotals = ({ events }: TestNode): number[] =>
  events.flatMap((event) => (event.event === 'downloading' ? [event.total] : []));

test('a model that the operator has is used when its hash is the offered one, and fetched when it is not', async () => {
  federation = await openFederation();
  const other = join(federation.folder, 'other-model');
  await writeTinyModel(other, sentences('another corpus', 100));
  const places = await Promise.all(names.slice(0, 2).map((name) => federation.join(name, sentences(name, 120))));
  const has = await federation.startNode('amina', places[0]!, { modelPath: federation.modelPath });
  const lacks = await federation.startNode('bruno', places[1]!, { modelPath: other });
  const id = await startRun({ rounds: 1 });
  expect((await finished(id)).roundsDone[0]!.contributors).toBe(2);
  const modelBytes = (await stat(join(federation.modelPath, 'model.safetensors'))).size;
  expect(Math.max(...downloadTotals(has))).toBeLessThan(modelBytes);
  expect(Math.max(...downloadTotals(lacks))).toBeGreaterThan(modelBytes);
});

test('a node with less text than one sequence declines by code, the others go on, each counted as one', async () => {
  federation = await openFederation();
  const nodes = await startNodes(1);
  const short = await federation.startNode('bruno', await federation.join('bruno', 'A line.\nAnother.'));
  const id = await startRun({
    rounds: 1,
    adapter: { rank: 4, alpha: 8, targets: ['q_proj'], schedule: 'ffa' },
    cohort: { minimum: 1, maximum: 2 },
    aggregation: { mode: 'plain', weighting: 'uniform' },
  });
  expect(await short.event('declined')).toMatchObject({ code: 'WEFT_DATA_TOO_SHORT' });
  expect((await finished(id)).roundsDone[0]).toMatchObject({ contributors: 1, factor: 'B' });
  const said = (await readSent(short.home)).map(({ kind }) => kind).filter((kind) => kind !== 'run');
  expect(said).toEqual(['enrolment', 'decline']);
  const [update] = (await readSent(nodes[0]!.home)).filter((sent) => sent.kind === 'update');
  expect(update).toMatchObject({
    weight: 1,
    weighting: 'uniform',
    said: expect.stringContaining('all nodes count alike'),
  });
});
