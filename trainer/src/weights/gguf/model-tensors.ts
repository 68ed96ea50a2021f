import { WeftError } from '@weft/shared';
import { families } from '../../models/families.ts';
import type { ModelConfig } from '../../models/model.ts';
import type { GgufHeader, GgufTensor } from './header.ts';
import { ropeFactorsName } from './rope.ts';
import { featureOfTensor, toHuggingFaceName } from './tensor-names.ts';

/** A tensor of the file and what makes Hugging Face's of it. */
export interface ModelTensor {
  readonly packed: GgufTensor;
  /** Hugging Face's. */
  readonly name: string;
  /** Rows of a head where the converter interleaved them (head-rows.ts); 0 where rows keep their order. */
  readonly headRows: number;
  /** Added to each value: the converter writes norms that multiply by 1 + w with the 1. */
  readonly addend: number;
}

/** The tensors that the graph needs; one that a model of the family does not have is refused by its feature. */
export const tensorsOfModel = ({ tensors }: GgufHeader, config: ModelConfig): ModelTensor[] =>
  [...tensors.values()]
    .filter(({ name }) => name !== ropeFactorsName) // the configuration says it
    .map((packed) => {
      const name = nameOf(packed, config);
      const heads = interleavedHeads(name, config);
      const rows = packed.shape.slice(0, -1).reduce((a, b) => a * b, 1);
      const addend = families[config.family].centredNorms && name.endsWith('norm.weight') ? -1 : 0;
      return { packed, name, headRows: heads > 0 ? rows / heads : 0, addend };
    });

function nameOf({ name }: GgufTensor, { family }: ModelConfig): string {
  const known = toHuggingFaceName(name, families[family]);
  if (known !== undefined) return known;
  const feature = featureOfTensor(name);
  throw new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: the model uses ${feature}`, { feature });
}

/** How many heads' rows llama.cpp's converter interleaved in this tensor; 0 for all but q and k. */
function interleavedHeads(name: string, { family, heads, kvHeads }: ModelConfig): number {
  if (!families[family].gguf.interleavesHeads) return 0;
  if (name.endsWith('.q_proj.weight')) return heads;
  return name.endsWith('.k_proj.weight') ? kvHeads : 0;
}
