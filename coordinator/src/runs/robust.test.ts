import { coordinateCapOf, createAdapterLayout, factorSize, type RunSpecInput } from '@weft/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loopbackModel, loopbackSpec } from './loopback-node.ts';
import { eventsOf, openLoopback, type Loopback } from './loopback.ts';

type Rule = NonNullable<RunSpecInput['aggregation']['rule']>;
const nodes = 7;
/** Seven updates of 16 bits add up to 19, in whole bytes. */
const wordBytes = 3;
/** Of the nodes' drawn deltas: coordinates below 0.1. */
const honestNormL2 = (values: number): number => 0.1 * Math.sqrt(values);

/** Honest deltas are far below it. */
const clipNormL2 = 100;

/** Multiplies each coordinate, as a node that says nothing about it would. */
const boostBy =
  (factor: number) =>
  (payload: Uint8Array): void => {
    const words = Buffer.from(payload.buffer);
    const cap = coordinateCapOf(16);
    for (let at = 0; at < payload.length - wordBytes; at += wordBytes) {
      const boosted = Math.round(words.readIntLE(at, wordBytes) * factor);
      words.writeIntLE(Math.max(-cap, Math.min(cap, boosted)), at, wordBytes);
    }
  };

/** As long as the coordinator takes it: the clip norm is the ring's largest coordinate, 2¹⁵ − 1. */
function boostToClipNorm(payload: Uint8Array): void {
  const words = Buffer.from(payload.buffer);
  let square = 0;
  for (let at = 0; at < payload.length - wordBytes; at += wordBytes) square += words.readIntLE(at, wordBytes) ** 2;
  boostBy(coordinateCapOf(16) / Math.sqrt(square))(payload);
}

let loopback: Loopback;
beforeAll(async () => {
  loopback = await openLoopback({ automatic: false, nodes });
  for (const node of loopback.nodes) loopback.connect(node);
});
afterAll(() => loopback.close());

/** One round in which the first node's update is as long as the clip norm. */
const poisonedRound = async (rule: Rule, { lastFirst = false } = {}) => {
  const { id } = await loopback.runs.create(
    loopbackSpec({
      rounds: 1,
      minimum: nodes,
      maximum: nodes,
      rule,
      weighting: 'uniform',
      clipNormL2,
      robust: { byzantine: 1, trimShare: 0.15, radius: 0.5, iterations: 20 },
    }),
  );
  loopback.runs.start(id);
  const prepared = loopback.nodes.map((node, i) => ({
    node,
    offer: node.offer,
    update: node.prepare(node.offer, i === 0 ? { payload: boostToClipNorm } : {}),
  }));
  for (const { node, offer, update } of prepared) await node.ready(offer, update);
  for (const { node, update } of lastFirst ? prepared.toReversed() : prepared) await node.upload(update);
  await loopback.settle();
  const committed = eventsOf(loopback, 'round.committed').at(-1);
  const shown = loopback.runs.show(id);
  expect(shown.spec.aggregation.rule).toBe(rule);
  expect(committed!.data.weightSum).toBe(nodes);
  const layout = createAdapterLayout(loopbackModel.dimensions, shown.spec.adapter);
  const { deltaNormL2, adapterAfter } = shown.roundsDone[0]!;
  return { stepNormL2: deltaNormL2!, adapterAfter, values: factorSize(layout, 'B') };
};

test('one update of seven, as long as the clip norm, carries the mean away', async () => {
  const { stepNormL2, values } = await poisonedRound('mean');
  expect(stepNormL2).toBeGreaterThan(10 * honestNormL2(values));
});

test.each([
  'coordinate-median',
  'trimmed-mean',
  'krum',
  'multi-krum',
  'bulyan',
  'geometric-median',
  'norm-bounding',
  'centred-clipping',
] as const)('under %s the same update moves the adapter no further than an honest one could', async (rule) => {
  const { stepNormL2, values } = await poisonedRound(rule);
  expect(stepNormL2).toBeGreaterThan(0);
  expect(stepNormL2).toBeLessThan(honestNormL2(values));
});

test('a robust round gives the same bytes in whatever order the updates come', async () => {
  const first = await poisonedRound('geometric-median');
  const second = await poisonedRound('geometric-median', { lastFirst: true });
  expect(second).toEqual(first);
});
