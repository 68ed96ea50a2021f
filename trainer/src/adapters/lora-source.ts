import type { AdapterLayout, TrainedFactor } from '@weft/shared';
import type { FrozenWeights } from '../models/frozen-weights.ts';
import type { ParameterSource } from '../models/llama.ts';
import { loraInputs } from './lora-inputs.ts';

/** Frozen base weights with LoRA's factors beside them; without a layout the base model alone. */
export const loraSource = (
  weights: FrozenWeights,
  layout: AdapterLayout | undefined,
  trains: TrainedFactor,
): ParameterSource => ({
  parametersIn(graph) {
    const { trained, lora } = layout
      ? loraInputs(graph, layout, trains)
      : { trained: new Map(), lora: () => undefined };
    return { weight: (name) => weights.add(graph, name), ...weights.matrices?.(graph), lora, trained };
  },
});
