import { type AdapterLayout, type LayoutTensor, type LoraTarget, type TrainedFactor, factorSize } from '@weft/shared';
import type { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/types.ts';
import type { LoraPair } from '../models/llama.ts';
import { reshape, split } from '../ops/calls.ts';

export const trainedInput = 'adapter';
export const frozenInput = 'frozenFactor';

/** The factor that a run leaves alone, if there is one. */
export const frozenFactor = (trains: TrainedFactor): 'A' | 'B' | undefined =>
  trains === 'both' ? undefined : trains === 'A' ? 'B' : 'A';

/**
 * The adapter as inputs of a graph: one flat vector of the trained factors and one of the frozen ones, as gatherFactor
 * lays them out, cut into matrices inside. The optimizer then works on a single tensor.
 */
export function loraInputs(
  graph: Graph,
  layout: AdapterLayout,
  trains: TrainedFactor,
): { trained: Map<string, Value>; lora: (layer: number, target: LoraTarget) => LoraPair | undefined } {
  const matrices = new Map<string, Value>();
  const cut = (flat: Value, tensors: readonly LayoutTensor[]): void => {
    const parts = split(
      flat,
      0,
      tensors.map(({ shape }) => shape[0] * shape[1]),
    );
    tensors.forEach(({ name, shape }, index) => {
      const part = parts[index];
      if (part) matrices.set(name, reshape(part, shape));
    });
  };
  const trained = graph.input(trainedInput, 'float32', [factorSize(layout, trains)]);
  cut(
    trained,
    layout.tensors.filter(({ factor }) => trains === 'both' || factor === trains),
  );
  const frozen = frozenFactor(trains);
  if (frozen) {
    const flat = graph.input(frozenInput, 'float32', [factorSize(layout, frozen)]);
    cut(
      flat,
      layout.tensors.filter(({ factor }) => factor === frozen),
    );
  }
  const matrix = (layer: number, target: LoraTarget, factor: 'A' | 'B'): Value | undefined => {
    const tensor = layout.tensors.find((t) => t.layer === layer && t.target === target && t.factor === factor);
    return tensor && matrices.get(tensor.name);
  };
  const scale = layout.alpha / layout.rank;
  return {
    trained: new Map([[trainedInput, trained]]),
    lora(layer, target) {
      const [a, b] = [matrix(layer, target, 'A'), matrix(layer, target, 'B')];
      return a && b && { a, b, scale };
    },
  };
}
