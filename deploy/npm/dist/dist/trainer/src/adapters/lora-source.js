                                                                 
                                                                 
                                                          
import { loraInputs } from './lora-inputs.js';

/** Frozen base weights with LoRA's factors beside them; without a layout the base model alone. */
export const loraSource = (
  weights               ,
  layout                           ,
  trains               ,
)                  => ({
  parametersIn(graph) {
    const { trained, lora } = layout ? loraInputs(graph, layout, trains) : { trained: new Map(), lora: () => undefined };
    return { weight: (name) => weights.add(graph, name), lora, trained };
  },
});
