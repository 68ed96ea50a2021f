import { WeftError } from '@weft/shared';
import type { ModelConfig } from '../models/model.ts';
import { weightShapes } from '../models/weight-shapes.ts';
import type { TensorRef } from './tensor-ref.ts';
import { featureOfTensor } from './gguf/tensor-names.ts';

/** The tensors that the graph needs, in its order; a missing, misshapen or foreign one is an error. */
export function fitTensors(tensors: ReadonlyMap<string, TensorRef>, config: ModelConfig): Map<string, TensorRef> {
  const expected = weightShapes(config);
  const fitted = new Map<string, TensorRef>();
  for (const [name, shape] of expected) {
    const ref = tensors.get(name);
    if (ref === undefined) throw new WeftError('WEFT_MODEL_MISMATCH', `the weights lack ${name}`, { tensor: name });
    if (ref.shape.length !== shape.length || ref.shape.some((size, i) => size !== shape[i])) {
      throw new WeftError(
        'WEFT_MODEL_MISMATCH',
        `${name} has the shape [${ref.shape.join(', ')}], the configuration says [${shape.join(', ')}]`,
        { tensor: name },
      );
    }
    fitted.set(name, ref);
  }
  for (const name of tensors.keys()) {
    if (expected.has(name) || isUnused(name, config)) continue;
    const layer = /^model\.layers\.(\d+)\./.exec(name);
    if (layer !== null && Number(layer[1]) >= config.layers) {
      throw new WeftError(
        'WEFT_MODEL_MISMATCH',
        `the weights hold layer ${layer[1]}, the configuration says ${config.layers} layers`,
        { tensor: name },
      );
    }
    const feature = featureOfHuggingFaceTensor(name);
    throw new WeftError('WEFT_MODEL_UNSUPPORTED', `the model uses ${feature}`, { feature });
  }
  return fitted;
}

/** Old checkpoints carry the rotary table; tied ones may repeat the embedding under the head's name. */
const isUnused = (name: string, config: ModelConfig): boolean =>
  name.endsWith('.rotary_emb.inv_freq') || (config.tieWordEmbeddings && name === 'lm_head.weight');

function featureOfHuggingFaceTensor(name: string): string {
  if (/self_attn\.[qkvo]_proj\.bias$/.test(name)) return 'attention_bias';
  if (/mlp\.\w+_proj\.bias$/.test(name)) return 'mlp_bias';
  if (/self_attn\.[qk]_norm\./.test(name)) return 'qk-norm';
  if (/\.experts\.|block_sparse_moe/.test(name)) return 'mixture of experts';
  return featureOfTensor(name);
}
