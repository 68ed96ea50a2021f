import { canonicalJson } from './canonical-json.js';
import { sha256 } from './hash.js';
                                       

/** Linear layers that LoRA may adapt, in the order in which a layout lists them. */
export const loraTargets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']         ;
                                                      

/** LoRA's factors: the adapted layer computes W·x + (alpha / rank)·B·A·x (Hu et al. 2021, equation 3). */
                                   
/** What a round trains. */
                                                

                                   
                          
                              
                                    
                         
                           
                           
 

                               
                                                                                       
                        
                         
                              
                              
                                                      
                                            
                                                
                          
 

/** Which value of a flat Float32Array(size) belongs where. Both sides must agree on it to the bit. */
                                
                        
                         
                                          
                                            
                        
                          
 

/** Layers in order, within a layer the targets in the order of `loraTargets`, A before B. */
export function createAdapterLayout(
  model                  ,
  adapter                                                                                            ,
)                {
  const targets = loraTargets.filter((target) => adapter.targets.includes(target));
  const tensors                 = [];
  let size = 0;
  for (let layer = 0; layer < model.layers; layer++) {
    for (const target of targets) {
      const [inFeatures, outFeatures] = linearDimensions(model, target);
      for (const factor of ['A', 'B']         ) {
        const shape                   = factor === 'A' ? [adapter.rank, inFeatures] : [outFeatures, adapter.rank];
        tensors.push({ name: peftName(layer, target, factor), layer, target, factor, shape, offset: size });
        size += shape[0] * shape[1];
      }
    }
  }
  const identity = canonicalJson({
    rank: adapter.rank,
    alpha: adapter.alpha,
    tensors: tensors.map(({ name, shape }) => [name, ...shape]),
  });
  return { rank: adapter.rank, alpha: adapter.alpha, targets, tensors, size, sha256: sha256(identity) };
}

/** Values that a round with this trained factor sends. */
export const factorSize = (layout               , trained               )         =>
  tensorsOf(layout, trained).reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);

/** The trained factor's values, in layout order, without gaps. */
export function gatherFactor(layout               , values              , trained               )               {
  const gathered = new Float32Array(factorSize(layout, trained));
  let at = 0;
  for (const { offset, shape } of tensorsOf(layout, trained)) {
    const count = shape[0] * shape[1];
    gathered.set(values.subarray(offset, offset + count), at);
    at += count;
  }
  return gathered;
}

/** A copy of `values` in which the trained factor is replaced. Inverse of gatherFactor. */
export function scatterFactor(
  layout               ,
  values              ,
  trained               ,
  gathered              ,
)               {
  const scattered = values.slice();
  let at = 0;
  for (const { offset, shape } of tensorsOf(layout, trained)) {
    const count = shape[0] * shape[1];
    scattered.set(gathered.subarray(at, at + count), offset);
    at += count;
  }
  return scattered;
}

const tensorsOf = (layout               , trained               )                          =>
  trained === 'both' ? layout.tensors : layout.tensors.filter(({ factor }) => factor === trained);

const block                                                    = {
  q_proj: 'self_attn',
  k_proj: 'self_attn',
  v_proj: 'self_attn',
  o_proj: 'self_attn',
  gate_proj: 'mlp',
  up_proj: 'mlp',
  down_proj: 'mlp',
};

const peftName = (layer        , target            , factor            )         =>
  `base_model.model.model.layers.${layer}.${block[target]}.${target}.lora_${factor}.weight`;

function linearDimensions(model                  , target            )                                            {
  const queries = model.heads * model.headDim;
  const keys = model.kvHeads * model.headDim;
  switch (target) {
    case 'q_proj':
      return [model.hiddenSize, queries];
    case 'k_proj':
    case 'v_proj':
      return [model.hiddenSize, keys];
    case 'o_proj':
      return [queries, model.hiddenSize];
    case 'gate_proj':
    case 'up_proj':
      return [model.hiddenSize, model.intermediateSize];
    case 'down_proj':
      return [model.intermediateSize, model.hiddenSize];
  }
}
