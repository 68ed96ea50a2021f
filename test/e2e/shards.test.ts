import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { createPendingUpdates, type NodeEvent } from '@weft/node-agent';
import { Factor, UpdateSchema } from '@weft/proto';
import {
  createAdapterLayout,
  createIdentity,
  createSeededRandom,
  domains,
  factorSize,
  payloadOf,
  privacy,
  quantizeUpdate,
  sealEnvelope,
  sha256,
  updateEncoding,
  type RunDetailView,
} from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation, type TestNode } from './federation.ts';
import { meanOf, publishedB } from './published.ts';
import { tinyModelConfig } from './tiny-model.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const members = 132;
type Place = Awaited<ReturnType<TestFederation['join']>>;

/**
 * An update as a node keeps it between training and sending, drawn instead of trained: an agent that finds it at its start
 * says that it is ready. So many trainings would take this test minutes.
 * @returns the update in the clear
 */
async function leaveUpdate({ home, nodeId }: Place, run: RunDetailView): Promise<Uint8Array> {
  const { spec } = run;
  const layout = createAdapterLayout(tinyModelConfig, spec.adapter);
  const values = factorSize(layout, 'B');
  const encoding = updateEncoding(spec, values);
  const random = createSeededRandom(nodeId);
  const delta = Float32Array.from({ length: values }, () => random.uniform() - 0.5);
  const weight = 1 + random.integer(1000);
  const { clipNormL2, weightCap } = encoding.offered;
  const rotationSeed = privacy.rotationSeed(run.id, 0);
  const quantized = quantizeUpdate(delta, encoding.grid, { clipNormL2, weight, weightCap, rotationSeed, random })!;
  const payload = payloadOf(encoding, quantized, { weight });
  const body = create(UpdateSchema, {
    runId: run.id,
    round: 0,
    nodeId,
    baseModelSha256: spec.baseModel.sha256,
    layoutSha256: layout.sha256,
    previousAdapterSha256: run.adapterSha256!,
    factor: Factor.B,
    payloadSha256: sha256(payload),
    payloadBytes: BigInt(payload.length),
    ringBits: encoding.offered.bits,
    values: BigInt(values),
    weight: BigInt(weight),
  });
  const { identity } = createIdentity(await readFile(join(home, 'identity.seed')));
  const update = sealEnvelope(domains.update, UpdateSchema, body, identity);
  const kept = { update, runName: spec.name, spec, normL2: quantized.normL2, trainingMs: 1, clipNormL2 };
  await createPendingUpdates(join(home, 'pending')).save(kept, payload);
  return payload;
}

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
