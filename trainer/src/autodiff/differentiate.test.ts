import { describe, expect, it } from 'vitest';
import type { Graph } from '../graph/graph.ts';
import type { Operator, Value } from '../graph/types.ts';
import { cast, crossEntropy, gatherRows, gemm, mul, rmsNorm, sqrt } from '../ops/calls.ts';
import { createGraph, operators } from '../ops/table.ts';
import { differentiate } from './differentiate.ts';

/** A scalar that depends on rows [2, 3]. */
const lossOf = (graph: Graph, rows: Value): Value =>
  crossEntropy(rows, graph.input('targets', 'int64', [2]), graph.input('rowWeights', 'float32', [2]));

const namesOf = (graph: Graph): string[] => graph.nodes.map(({ operatorName }) => operatorName);

describe('the reverse walk', () => {
  it('names operator and node when a rule is missing', () => {
    const graph = createGraph();
    const x = graph.input('x', 'float32', [2, 3]);
    const loss = graph.scope('layers.7', () => lossOf(graph, sqrt(x)));
    expect(() => differentiate(graph, loss, [x])).toThrow(
      expect.objectContaining({
        code: 'WEFT_TRAINING_NO_GRADIENT',
        details: { operator: 'sqrt', node: expect.stringMatching(/^layers\.7\/sqrt_\d+$/) as string },
      }),
    );
  });

  it('does not mind a missing rule beside the path to what is trained', () => {
    const graph = createGraph();
    const [x, frozen] = [graph.input('x', 'float32', [2, 3]), graph.input('frozen', 'float32', [2, 3])];
    expect(() => differentiate(graph, lossOf(graph, mul(x, sqrt(frozen))), [x])).not.toThrow();
  });

  it('builds no gradient for a frozen weight', () => {
    const graph = createGraph();
    const [x, weight] = [graph.input('x', 'float32', [2, 4]), graph.input('weight', 'float32', [3, 4])];
    const loss = lossOf(graph, gemm(x, weight, { transB: true }));
    differentiate(graph, loss, [x]);
    expect(namesOf(graph).filter((name) => name === 'gemm')).toHaveLength(2); // the forward product and δ·W
    differentiate(graph, loss, [weight]);
    expect(namesOf(graph).filter((name) => name === 'gemm')).toHaveLength(3);
  });

  it('widens a half-precision weight again for the backward pass instead of keeping the copy', () => {
    const graph = createGraph();
    const [x, weight] = [graph.input('x', 'float32', [2, 4]), graph.input('weight', 'bfloat16', [3, 4])];
    const loss = lossOf(graph, gemm(x, cast(weight, 'float32'), { transB: true }));
    differentiate(graph, loss, [x]);
    expect(namesOf(graph).filter((name) => name === 'cast')).toHaveLength(2);
  });

  it('keeps no norm for the backward pass, nor anything of a checkpointed part but what leaves it', () => {
    const graph = createGraph();
    const [x, gain] = [graph.input('x', 'float32', [2, 4]), graph.input('gain', 'float32', [4])];
    const weight = graph.input('weight', 'float32', [3, 4]);
    const rows = graph.checkpoint(() => gemm(rmsNorm(mul(x, x), gain, 1e-5), weight, { transB: true }));
    const forward = new Set(graph.nodes);
    differentiate(graph, lossOf(graph, rows), [x, weight]);
    const again = graph.nodes.filter(({ operatorName }) => operatorName === 'rmsNorm');
    expect(again).toHaveLength(2);
    const readsOf = (name: string): number =>
      graph.nodes.filter(
        (node) =>
          !forward.has(node) &&
          node.inputs.some(({ producer }) => producer?.operatorName === name && forward.has(producer)),
      ).length;
    expect([readsOf('rmsNorm'), readsOf('mul')]).toEqual([0, 0]);
  });

  it('adds up the gradients of a value that is used twice', () => {
    const graph = createGraph();
    const table = graph.input('table', 'float32', [3, 4]);
    const rows = gatherRows(table, graph.input('ids', 'int64', [2]));
    const [gradient] = differentiate(graph, lossOf(graph, gemm(rows, table, { transB: true })), [table]);
    expect(gradient?.producer?.operatorName).toBe('add');
    expect(gradient?.shape).toEqual([3, 4]);
  });

  it('gives zeros for what the loss does not depend on', () => {
    const graph = createGraph();
    const [x, unused] = [graph.input('x', 'float32', [2, 3]), graph.input('unused', 'float32', [5])];
    const [, gradient] = differentiate(graph, lossOf(graph, x), [x, unused]);
    expect(gradient && graph.constants.get(gradient)).toEqual(new Float32Array(5));
  });

  it('withholds forward values that a rule does not declare', () => {
    const greedy: Operator = { ...operators.mul, saves: { inputs: [0] } };
    const graph = createGraph({ ...operators, mul: greedy });
    const [x, y] = [graph.input('x', 'float32', [2, 3]), graph.input('y', 'float32', [2, 3])];
    const loss = lossOf(graph, mul(x, y));
    expect(() => differentiate(graph, loss, [x])).toThrow(/reads a value that it does not save/);
  });
});

it('a graph of shapes that do not fit is refused, with the node and both shapes', () => {
  const graph = createGraph();
  const [x, weight] = [graph.input('x', 'float32', [2, 4]), graph.input('weight', 'float32', [3, 5])];
  expect(() => graph.scope('mlp', () => gemm(x, weight, { transB: true }))).toThrow(
    /^mlp\/gemm_\d+: float32\[2, 4\] and float32\[3, 5\]ᵀ have no product$/,
  );
});
