import type { NodeEvent } from '@weft/node-agent';
import { createIdentity, type RunDetailView } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation, type TestNode } from './federation.ts';
import { leaveUpdate } from './left-update.ts';
import { meanOf, publishedB } from './published.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const members = 132;
type Place = Awaited<ReturnType<TestFederation['join']>>;

test('132 nodes in two shards publish the exact sum of those who stayed, with the coordinator restarted in mid-session', async () => {
  federation = await openFederation();
  const organisations = Array.from({ length: 4 }, () => createIdentity().identity);
  const places: Place[] = [];
  for (let node = 0; node < members; node++) {
    const organisation = organisations[node % organisations.length]!;
    places.push(await federation.join(`node-${node}`, sentences(`node ${node}`, 20), { organisation }));
  }
  const { id } = await federation.createRun({
    aggregation: { clipNormL2: 10 },
    evaluation: { heldOutShare: 0 },
    cohort: { minimum: 129, maximum: members },
    rounds: 1,
  });
  const runNow = (): Promise<RunDetailView> => federation.admin('GET', `/api/runs/${id}`);
  const created = await runNow();
  const plain = new Map<string, Uint8Array>();
  for (const place of places) plain.set(place.nodeId, await leaveUpdate(place, created));
  await federation.admin('POST', `/api/runs/${id}/start`);
  const firstSent = Promise.withResolvers<void>();
  const nodes: TestNode[] = [];
  for (const [node, place] of places.entries()) {
    const onEvent = ({ event }: NodeEvent): void => {
      if (event === 'sent') firstSent.resolve();
    };
    nodes.push(await federation.startNode(`node-${node}`, place, { policy: { leastExamples: 1 }, onEvent }));
  }

  // One is gone for good in the middle, another once a coordinator is back that knows the session from its rows alone.
  await federation.runUntil(id, ({ phase }) => phase === 'shares');
  const [gone] = places as [Place];
  await federation.admin('POST', `/api/nodes/${gone.nodeId}/revoke`);
  await firstSent.promise;
  await federation.restart();
  await nodes[1]!.agent.stop();
  const run = await federation.runUntil(id, ({ state }) => state !== 'created' && state !== 'running');
  expect({ state: run.state, reason: run.reason, rounds: run.roundsDone.map(({ reason }) => reason) }).toEqual({
    state: 'finished',
    reason: null,
    rounds: [null],
  });
  const [round] = run.roundsDone;
  const summed = round!.nodes.filter(({ stage }) => stage === 'accepted').map(({ nodeId }) => nodeId);
  expect(summed).toHaveLength(round!.contributors);
  expect(summed).not.toContain(gone.nodeId);
  expect(round!.contributors).toBeGreaterThanOrEqual(members - 2);
  const published = await publishedB(federation, id);
  const payloads = summed.map((nodeId) => plain.get(nodeId)!);
  expect(published).toEqual(Float32Array.from(meanOf(run, payloads, published.length)));
}, 400_000);
