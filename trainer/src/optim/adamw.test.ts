import { createAdapterLayout, loraTargets } from '@weft/shared';
import { expect, it } from 'vitest';
import { loraInputs } from '../adapters/lora-inputs.ts';
import { differentiate } from '../autodiff/differentiate.ts';
import type { Graph } from '../graph/graph.ts';
import { neededNodes } from '../graph/schedule.ts';
import type { GraphNode } from '../graph/types.ts';
import { fullSource } from '../models/full-source.ts';
import { weightShapes } from '../models/weight-shapes.ts';
import type { ParameterSource } from '../models/llama.ts';
import { createGraph } from '../ops/table.ts';
import { buildLoss } from '../training-step.ts';
import { applyAdamw, firstMoment, nextState, secondMoment } from './adamw.ts';

const config = {
  family: 'llama',
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 3,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 11,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 64,
} as const;

const layout = createAdapterLayout(config, { rank: 2, alpha: 2, targets: loraTargets });
/** LoRA over weights that are inputs: where they come from does not matter here. */
const lora = (trains: 'both' | 'A' | 'B'): ParameterSource => ({
  parametersIn(graph) {
    const weights = new Map(
      [...weightShapes(config)].map(([name, shape]) => [name, graph.input(name, 'float32', shape)]),
    );
    return {
      ...loraInputs(graph, layout, trains),
      weight: (name) => weights.get(name) ?? graph.input(name, 'float32', []),
    };
  },
});

/** States that some node may read after the node that writes their new value over them. */
function unsafeUpdates(graph: Graph, names: readonly string[]): string[] {
  const nodes = neededNodes(graph.nodes, graph.outputs.values());
  return names.filter((name) => {
    const writer = graph.outputs.get(nextState(name))?.producer;
    if (!writer) return true;
    const before = new Set<GraphNode>([writer]);
    for (const node of nodes.toReversed()) {
      if (before.has(node)) for (const { producer } of node.inputs) if (producer) before.add(producer);
    }
    return nodes.some((node) => node.inputs.some((input) => input.name === name) && !before.has(node));
  });
}

it.each([
  ['both factors', lora('both')],
  ['factor A', lora('A')],
  ['factor B', lora('B')],
  ['all weights', fullSource(config)],
])('training %s, every reader of an old value comes before the node that overwrites it', (_, source) => {
  const graph = createGraph();
  const { loss, trained } = buildLoss(graph, config, { batchSize: 2, sequenceLength: 4 }, source);
  const gradients = differentiate(graph, loss, [...trained.values()]);
  applyAdamw(graph, trained, gradients, { clipGradNorm: undefined, weightDecay: 0.1 });
  const states = [...trained.keys()].flatMap((name) => [name, firstMoment(name), secondMoment(name)]);
  expect(states.length).toBeGreaterThan(0);
  expect(unsafeUpdates(graph, states)).toEqual([]);
});
