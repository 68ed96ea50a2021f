import { elementCount } from '../graph/shape.ts';
import type { ParameterSource } from './llama.ts';
import type { ModelConfig } from './model.ts';
import { createSeededRandom } from '@weft/shared';

/** Every weight of a Llama by its Hugging Face name, with its shape; linear weights are [out, in]. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config;
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    shapes.set(`${prefix}.input_layernorm.weight`, [hiddenSize]);
    shapes.set(`${prefix}.self_attn.q_proj.weight`, [heads * headDim, hiddenSize]);
    shapes.set(`${prefix}.self_attn.k_proj.weight`, [kvHeads * headDim, hiddenSize]);
    shapes.set(`${prefix}.self_attn.v_proj.weight`, [kvHeads * headDim, hiddenSize]);
    shapes.set(`${prefix}.self_attn.o_proj.weight`, [hiddenSize, heads * headDim]);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [hiddenSize]);
    shapes.set(`${prefix}.mlp.gate_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.up_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.down_proj.weight`, [hiddenSize, intermediateSize]);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  return shapes;
}

/** Norms 1, everything else normal with deviation 0.02, as transformers initialises a Llama. The same seed gives the same bits. */
export function initWeights(config: ModelConfig, seed: number): Map<string, Float32Array> {
  const random = createSeededRandom(`weights/${seed}`);
  // Box and Muller's transform; 1 − u keeps the logarithm finite.
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  return new Map(
    [...weightShapes(config)].map(([name, shape]) => {
      const count = elementCount(shape);
      const isNorm = shape.length === 1;
      return [name, Float32Array.from({ length: count }, () => (isNorm ? 1 : 0.02 * normal()))];
    }),
  );
}

/** Every weight is an input, and every one is trained. */
export const fullSource = (config: ModelConfig): ParameterSource => ({
  parametersIn(graph) {
    const trained = new Map(
      [...weightShapes(config)].map(([name, shape]) => [name, graph.input(name, 'float32', shape)] as const),
    );
    return {
      trained,
      lora: () => undefined,
      weight(name) {
        const value = trained.get(name);
        if (!value) throw new RangeError(`the model has no tensor ${name}`);
        return value;
      },
    };
  },
});
