import { families } from './families.ts';
import type { ModelConfig } from './model.ts';

/** Every weight of a decoder by its Hugging Face name, with its shape, in the graph's order; linear weights are [out, in]. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config;
  const { qkvBias, qkNorm, norms } = families[config.family];
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const putNorm = (name: string | undefined): void => {
      if (name) shapes.set(`${prefix}.${name}.weight`, [hiddenSize]);
    };
    putNorm(norms.attention.before);
    for (const [name, count] of [
      ['q', heads],
      ['k', kvHeads],
      ['v', kvHeads],
    ] as const) {
      shapes.set(`${prefix}.self_attn.${name}_proj.weight`, [count * headDim, hiddenSize]);
      if (qkvBias) shapes.set(`${prefix}.self_attn.${name}_proj.bias`, [count * headDim]);
      if (qkNorm && name !== 'v') shapes.set(`${prefix}.self_attn.${name}_norm.weight`, [headDim]);
    }
    shapes.set(`${prefix}.self_attn.o_proj.weight`, [hiddenSize, heads * headDim]);
    putNorm(norms.attention.after);
    putNorm(norms.mlp.before);
    shapes.set(`${prefix}.mlp.gate_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.up_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.down_proj.weight`, [hiddenSize, intermediateSize]);
    putNorm(norms.mlp.after);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  return shapes;
}
