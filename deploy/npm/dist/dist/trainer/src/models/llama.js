import { GraphError } from '../graph/shape.js';
                                               
                                               
import { add, cast, gatherRows, gemm, matmul, mul, reshape, rmsNorm, rotary, silu, softmax, transpose } from '../ops/calls.js';
                                               
                                              

/** LoRA's factors of one linear layer: A [rank, in], B [out, rank], scale α/rank. */
                           
                    
                    
                         
 

                                  
                                                                                                                   
                              
                                                                            
                                                                
 

/** Where a run's parameters come from: which are weights in files, which are inputs, and which of those are trained. */
                                  
                                                                                                 
 

                             
                             
                                  
 

/**
 * A Llama decoder from token ids [batch·seq] to the normalised hidden states [batch·seq, hidden], decomposed into
 * operators that have gradient rules. Rows are padded on the right, so the causal mask is all the mask there is.
 */
export function buildLlama(
  graph       ,
  config             ,
  shape            ,
  inputIds       ,
  parameters                 ,
)        {
  const mask = causalMask(graph, shape.sequenceLength);
  let x = widen(gatherRows(parameters.weight('model.embed_tokens.weight'), inputIds)); // [rows, hidden]
  for (let layer = 0; layer < config.layers; layer++) {
    graph.scope(`layers.${layer}`, () => {
      const prefix = `model.layers.${layer}`;
      const linear = (target            , input       , residual        )        =>
        adaptedLinear(input, parameters.weight(`${prefix}.${moduleOf[target]}.weight`), parameters.lora(layer, target), residual);
      const norm = (name        , input       )        =>
        rmsNorm(input, widen(parameters.weight(`${prefix}.${name}.weight`)), config.rmsNormEps);
      x = graph.scope('attention', () => attention(config, shape, norm('input_layernorm', x), mask, linear, x));
      x = graph.scope('mlp', () => {
        const h = norm('post_attention_layernorm', x);
        return linear('down_proj', mul(silu(linear('gate_proj', h)), linear('up_proj', h)), x);
      });
    });
  }
  return rmsNorm(x, widen(parameters.weight('model.norm.weight')), config.rmsNormEps);
}

/** The vocabulary head's weight, [vocab, hidden]. */
export const headWeight = (config             , parameters                 )        =>
  parameters.weight(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');

/** Frozen weights may be half precision; products are float32. */
export const widen = (weight       )        => cast(weight, 'float32');

const moduleOf                                       = {
  q_proj: 'self_attn.q_proj',
  k_proj: 'self_attn.k_proj',
  v_proj: 'self_attn.v_proj',
  o_proj: 'self_attn.o_proj',
  gate_proj: 'mlp.gate_proj',
  up_proj: 'mlp.up_proj',
  down_proj: 'mlp.down_proj',
};

                                                                            

/** x·Wᵀ + scale·(x·Aᵀ)·Bᵀ + residual; the additions ride on the products. */
function adaptedLinear(x       , weight       , lora                      , residual                   )        {
  const base = gemm(x, widen(weight), { transB: true }, residual); // [rows, out]
  if (!lora) return base;
  const down = gemm(x, lora.a, { transB: true, alpha: lora.scale }); // [rows, rank]
  return gemm(down, lora.b, { transB: true }, base);
}

/**
 * Causal attention with grouped queries (Ainslie et al. 2023). The queries that share a key head stand below each other,
 * [batch, kvHeads, group·seq, headDim], so that keys and values are never repeated.
 */
function attention(
  { heads, kvHeads, headDim, ropeTheta }             ,
  { batchSize, sequenceLength: seq }            ,
  normalised       ,
  mask       ,
  linear        ,
  residual       ,
)        {
  if (heads % kvHeads !== 0) throw new GraphError(`${heads} query heads cannot share ${kvHeads} key heads`);
  const group = heads / kvHeads;
  const perHead = (rows       , count        )        =>
    transpose(reshape(rows, [batchSize, seq, count, headDim]), [0, 2, 1, 3]); // [batch, count, seq, headDim]
  const rotate = (x       , scale        )        => rotary(x, { base: ropeTheta, scale });
  const grouped = [batchSize, kvHeads, group * seq, headDim];

  const q = reshape(rotate(perHead(linear('q_proj', normalised), heads), 1 / Math.sqrt(headDim)), grouped);
  const k = rotate(perHead(linear('k_proj', normalised), kvHeads), 1);
  const v = perHead(linear('v_proj', normalised), kvHeads);

  const scores = reshape(matmul(q, k, { transB: true }), [batchSize, heads, seq, seq]);
  const probabilities = reshape(softmax(add(scores, mask)), [batchSize, kvHeads, group * seq, seq]);
  const mixed = reshape(matmul(probabilities, v), [batchSize, heads, seq, headDim]);
  const rows = reshape(transpose(mixed, [0, 2, 1, 3]), [batchSize * seq, heads * headDim]);
  return linear('o_proj', rows, residual);
}

/** [seq, seq]: 0 where a position may look, −1e9 (zero after the softmax) at later positions. */
function causalMask(graph       , seq        )        {
  const mask = Float32Array.from({ length: seq * seq }, (_, index) => (index % seq > Math.floor(index / seq) ? -1e9 : 0));
  return graph.constant(mask, [seq, seq]);
}
