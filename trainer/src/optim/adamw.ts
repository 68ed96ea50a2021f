import type { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/types.ts';
import { add, div, min, mul, scalar, sqrt, sub, sum, whereFinite } from '../ops/calls.ts';

const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-8;

/** Output `next:NAME` of a graph is the new value of the state `NAME`, written where the old one stood. */
export const nextState = (name: string): string => `next:${name}`;
export const firstMoment = (name: string): string => `${name}.m`;
export const secondMoment = (name: string): string => `${name}.v`;

export interface AdamwOptions {
  /** Largest L2 norm of all gradients together; undefined leaves them as they are. */
  readonly clipGradNorm: number | undefined;
  readonly weightDecay: number;
  /** Leaves everything as it is where the norm is not finite. */
  readonly skipsNonFinite?: boolean | undefined;
}

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2) in the form of torch.optim.AdamW, as part of the graph:
 * θ ← θ·(1 − γλ); m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − γ/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε).
 * The moments are inputs, all new values outputs. Every update waits for the norm of all gradients, hence for every
 * reader of an old parameter: this is what makes updating in place safe, so the norm is taken without clipping too.
 * Returns the norm.
 */
export function applyAdamw(
  graph: Graph,
  trained: ReadonlyMap<string, Value>,
  gradients: readonly Value[],
  { clipGradNorm, weightDecay, skipsNonFinite = false }: AdamwOptions,
): Value {
  const stepSize = graph.input('stepSize', 'float32', []); // γ / (1 − β₁ᵗ)
  const secondScale = graph.input('secondScale', 'float32', []); // 1 / √(1 − β₂ᵗ)
  const decay = weightDecay === 0 ? undefined : graph.input('decay', 'float32', []); // 1 − γλ
  const norm = sqrt(
    gradients
      .map((g) =>
        sum(
          mul(g, g),
          g.shape.map((_, axis) => axis),
        ),
      )
      .reduce((a, b) => add(a, b)),
  );
  graph.output('gradientNorm', norm);
  // As torch.nn.utils.clip_grad_norm_: g · min(1, clip / (norm + 1e-6)).
  const limit = scalar(norm, clipGradNorm ?? Number.POSITIVE_INFINITY);
  const factor = min(scalar(norm, 1), div(limit, add(norm, scalar(norm, 1e-6))));
  const weightOfG = mul(factor, scalar(norm, 1 - beta1));
  const weightOfG2 = mul(mul(factor, factor), scalar(norm, 1 - beta2));
  [...trained].forEach(([name, parameter], index) => {
    const g = gradients[index];
    if (!g) throw new RangeError(`${name} has no gradient`);
    const firstOld = graph.input(firstMoment(name), 'float32', parameter.shape);
    const secondOld = graph.input(secondMoment(name), 'float32', parameter.shape);
    const first = add(mul(firstOld, scalar(g, beta1)), mul(g, weightOfG));
    const second = add(mul(secondOld, scalar(g, beta2)), mul(mul(g, g), weightOfG2));
    const step = div(mul(first, stepSize), add(mul(sqrt(second), secondScale), scalar(g, epsilon)));
    const keep = (next: Value, old: Value): Value => (skipsNonFinite ? whereFinite(norm, next, old) : next);
    graph.output(nextState(firstMoment(name)), keep(first, firstOld));
    graph.output(nextState(secondMoment(name)), keep(second, secondOld));
    graph.output(nextState(name), keep(sub(decay ? mul(parameter, decay) : parameter, step), parameter));
  });
  return norm;
}

/** The scalars of step `t` (the first is 1), in float64 until they are fed. */
export const adamwScalars = (t: number, learningRate: number, weightDecay: number): Record<string, number> => ({
  stepSize: learningRate / (1 - beta1 ** t),
  secondScale: 1 / Math.sqrt(1 - beta2 ** t),
  decay: 1 - learningRate * weightDecay,
});
