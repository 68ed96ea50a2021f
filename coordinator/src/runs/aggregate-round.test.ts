import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAdapterLayout,
  factorSize,
  parseRunSpec,
  payloadOf,
  sha256,
  updateEncoding,
  type NodeId,
  type RunId,
} from '@weft/shared';
import { initAdapter } from '@weft/trainer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeAdapter } from '../adapters/adapter-file.ts';
import { createAggregator } from '../aggregation/aggregator.ts';
import type { BlobInfo } from '../store/events.ts';
import { aggregateRound, type AggregateContext } from './aggregate-round.ts';
import { openRunBlobs, type RunBlobs } from './run-blobs.ts';

const aggregator = createAggregator();
let folder: string;
let blobs: RunBlobs;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-aggregate-'));
  blobs = await openRunBlobs(folder);
});
afterAll(async () => {
  await aggregator.close();
  await rm(folder, { recursive: true });
});

const layout = createAdapterLayout(
  { layers: 1, hiddenSize: 4, intermediateSize: 8, heads: 2, kvHeads: 1, headDim: 2 },
  { rank: 2, alpha: 4, targets: ['q_proj'] },
);
const specOf = (shardRule: 'mean' | 'trimmed-mean') =>
  parseRunSpec({
    name: 'shards',
    baseModel: { name: 'tiny', sha256: sha256('model') },
    adapter: { rank: 2, alpha: 4, targets: ['q_proj'], schedule: 'ffa' },
    training: { steps: 1 },
    cohort: { minimum: 513, maximum: 513 },
    aggregation: { weighting: 'uniform', clipNormL2: 1, robust: { trimShare: 0.2 }, secure: { shardRule } },
    rounds: 1,
  });
const encoding = updateEncoding(specOf('mean'), factorSize(layout, 'B'));

test('the spec says whether the sums of shards are added up or their means trimmed', async () => {
  const nodeIds = [1, 2, 3, 4, 5].map((node) => `n_${String(node).repeat(32)}` as NodeId);
  const values = [-9, 1, 2, 6, 9000];
  const updates = new Map<NodeId, { payload: BlobInfo }>();
  for (const [k, nodeId] of nodeIds.entries()) {
    const coordinates = new Int32Array(encoding.grid.dim).fill(values[k]!);
    const update = { coordinates, normL2: 1, clipped: false, saturatedValues: 0 };
    updates.set(nodeId, { payload: await blobs.updates.put(payloadOf(encoding, update, { weight: 1 })) });
  }
  const context: AggregateContext = { blobs, aggregator, clock: { now: () => 0 }, onPoint: () => {} };
  const moved = async (shardRule: 'mean' | 'trimmed-mean', nodes = nodeIds): Promise<number> => {
    const spec = specOf(shardRule);
    const before = await blobs.adapters.put(await encodeAdapter(layout, initAdapter(layout, 0), spec.baseModel));
    const { deltaNormL2 } = await aggregateRound(
      context,
      { spec, factor: 'B', clipNormL2: 1, runId: 'r_0' as RunId, round: 0, adapter: before, momentum: undefined },
      layout,
      // Of one member each, and no masks.
      { updates, shards: nodes.map((nodeId) => ({ nodeIds: [nodeId], masks: [] })) },
    );
    return (deltaNormL2 * encoding.grid.scale) / Math.sqrt(encoding.grid.dim);
  };
  expect(await moved('mean')).toBeCloseTo(9000 / 5, 3);
  expect(await moved('trimmed-mean')).toBeCloseTo(3, 3);
  expect(await moved('trimmed-mean', nodeIds.toReversed())).toBeCloseTo(3, 3);
  await expect(moved('trimmed-mean', nodeIds.slice(1))).rejects.toMatchObject({ code: 'WEFT_SHARDS_TOO_FEW' });
});
