import type { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/types.ts';
import { add, div, mul, scalar, whereAtMost, whereFinite } from '../ops/calls.ts';
import type { WireTensor } from '../session/messages.ts';
import { nextState } from './adamw.ts';

/** What a loss scale is, and how far it has come. */
export interface LossScaleState {
  readonly scale: number;
  /** Steps since the scale changed. */
  readonly goodSteps: number;
}

/** As in torch.amp.GradScaler. */
const firstScale = 2 ** 16;
const growthInterval = 2000;

/** A scale that has fallen to this shows that it is not the scale which makes gradients overflow. */
export const smallestScale = 2 ** -10;

const scaleInput = 'lossScale';
const goodStepsInput = 'lossScaleGoodSteps';
/** Output: the scale that the step was taken with. */
export const usedLossScale = 'usedLossScale';

/** State tensors; a fresh run's without an argument. */
export const lossScaleState = ({ scale, goodSteps }: LossScaleState = fresh): WireTensor[] => [
  { name: scaleInput, shape: [], data: Float32Array.of(scale) },
  { name: goodStepsInput, shape: [], data: Float32Array.of(goodSteps) },
];

const fresh: LossScaleState = { scale: firstScale, goodSteps: 0 };
export const lossScaleNames = [scaleInput, goodStepsInput] as const;

/**
 * Dynamic loss scaling (Micikevicius et al. 2018, section 3.2) in the form of torch.amp.GradScaler, as part of the graph.
 * The gradients are those of scale·loss, so that small ones survive half precision. A step whose gradient norm is not
 * finite changes nothing and halves the scale; so many good steps in a row double it.
 */
export class LossScale {
  /** Seed of the backward pass. */
  readonly scale: Value;
  readonly #graph: Graph;
  readonly #goodSteps: Value;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.scale = graph.input(scaleInput, 'float32', []);
    this.#goodSteps = graph.input(goodStepsInput, 'float32', []);
  }

  /** Gradients of the loss itself. */
  unscale(gradients: readonly Value[]): Value[] {
    const inverse = div(scalar(this.scale, 1), this.scale);
    return gradients.map((gradient) => mul(gradient, inverse));
  }

  /** Declares the state after a step with this gradient norm. */
  update(norm: Value): void {
    const { scale } = this;
    const goodSteps = add(this.#goodSteps, scalar(scale, 1));
    const stays = growthInterval - 1;
    const grown = whereAtMost(goodSteps, stays, scale, mul(scale, scalar(scale, 2)));
    const counted = whereAtMost(goodSteps, stays, goodSteps, scalar(scale, 0));
    this.#graph.output(usedLossScale, mul(scale, scalar(scale, 1)));
    this.#graph.output(nextState(scaleInput), whereFinite(norm, grown, mul(scale, scalar(scale, 0.5))));
    this.#graph.output(nextState(goodStepsInput), whereFinite(norm, counted, scalar(scale, 0)));
  }
}
