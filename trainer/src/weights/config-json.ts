import { WeftError } from '@weft/shared';
import { z } from 'zod';
import { families, type Family, isFamily } from '../models/families.ts';
import type { ModelConfig } from '../models/model.ts';
import { checkConfig } from './config-limits.ts';
import { parseLayerPattern } from './layer-pattern.ts';
import { parseRope } from './rope-config.ts';

const size = z.int().min(1);
const off = z.literal(false).nullish();

/** The numbers of a config.json; other keys, such as dtype or use_cache, do not change the computation. */
const numbers = z.object({
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive(),
  tie_word_embeddings: z.boolean().nullish(),
  query_pre_attn_scalar: z.number().positive().nullish(),
  bos_token_id: z.int().min(0).nullish(),
  eos_token_id: z.union([z.int().min(0), z.array(z.int().min(0)).min(1)]).nullish(),
  pad_token_id: z.int().nullish(),
});

/**
 * Key → the values under which a model computes what our graph computes, unless its family heeds the key. A present key
 * with another value is a feature we lack.
 */
const neutral: Readonly<Record<string, z.ZodType>> = {
  attention_bias: off,
  mlp_bias: off,
  rope_interleaved: off,
  partial_rotary_factor: z.literal(1).nullish(),
  sliding_window: z.null().optional(),
  use_sliding_window: off,
  use_bidirectional_attention: off,
  layer_types: z.array(z.literal('full_attention')).nullish(),
  qk_norm: off,
  use_qk_norm: off,
  quantization_config: z.null().optional(),
  num_local_experts: z.union([z.null(), z.undefined(), z.literal(0), z.literal(1)]),
  attn_logit_softcapping: z.null().optional(),
  final_logit_softcapping: z.null().optional(),
  no_rope_layers: z.null().optional(),
  pretraining_tp: z.literal(1).nullish(),
};

export interface ParsedConfig {
  readonly config: ModelConfig;
  readonly bosTokenId: number | undefined;
  /** The first is the one that ends a text; a chat model has others, that end a turn. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}

/** Types of config.json; refuses an architecture or a feature that the graph does not have, by its name. */
export function parseConfigJson(text: string): ParsedConfig {
  const json = parseObject(text);
  refuseOtherInputs(json);
  const type = json['model_type'];
  if (!isFamily(type)) {
    throw new WeftError(
      'WEFT_MODEL_UNSUPPORTED',
      `config.json: model_type is ${typeof type === 'string' ? type.slice(0, 40) : 'not stated'}; Weft trains ${Object.keys(families).join(', ')}`,
      { feature: 'architecture' },
    );
  }
  const family: Family = families[type];
  const { quant_method: quantised } = (json['quantization_config'] ?? {}) as { quant_method?: unknown };
  if (typeof quantised === 'string') throw uses('quantization_config', ` (${quantised.slice(0, 40)})`);
  const required = { ...neutral, [family.activation.key]: z.literal(family.activation.name).nullish() };
  for (const [key, allowed] of Object.entries(required)) {
    if (!family.heeds.some((heeded) => heeded === key) && !allowed.safeParse(json[key]).success) throw uses(key);
  }
  const parsed = numbers.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw new WeftError('WEFT_MODEL_CORRUPT', `config.json: ${problems}`);
  }
  const c = parsed.data;
  return {
    config: checkConfig({
      family: type,
      hiddenSize: c.hidden_size,
      intermediateSize: c.intermediate_size,
      layers: c.num_hidden_layers,
      heads: c.num_attention_heads,
      kvHeads: c.num_key_value_heads ?? c.num_attention_heads,
      headDim: c.head_dim ?? wholeHead(c.hidden_size, c.num_attention_heads),
      vocabSize: c.vocab_size,
      rmsNormEps: c.rms_norm_eps,
      tieWordEmbeddings: c.tie_word_embeddings ?? family.tieWordEmbeddings,
      maxPositions: c.max_position_embeddings,
      ...parseRope(json, family, c.max_position_embeddings),
      ...parseLayerPattern(json, family, c.num_hidden_layers),
      ...(family.heeds.includes('query_pre_attn_scalar') && { queryPreAttnScalar: c.query_pre_attn_scalar ?? 256 }),
    }),
    bosTokenId: c.bos_token_id ?? undefined,
    eosTokenIds: [c.eos_token_id ?? []].flat(),
    padTokenId:
      c.pad_token_id === null || c.pad_token_id === undefined || c.pad_token_id < 0 ? undefined : c.pad_token_id,
  };
}

/** A model that reads more than text keeps its text model's numbers elsewhere; that part alone is not taken out of it. */
function refuseOtherInputs(json: Record<string, unknown>): void {
  const feature = ['vision_config', 'audio_config'].find((key) => typeof json[key] === 'object' && json[key] !== null);
  if (feature) throw uses(feature, ', it reads more than text');
}

const uses = (feature: string, what = ''): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `config.json: the model uses ${feature}${what}`, { feature });

function parseObject(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new WeftError('WEFT_MODEL_CORRUPT', 'config.json is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new WeftError('WEFT_MODEL_CORRUPT', 'config.json is not an object');
  return json as Record<string, unknown>;
}

function wholeHead(hiddenSize: number, heads: number): number {
  if (hiddenSize % heads !== 0)
    throw new WeftError(
      'WEFT_MODEL_CORRUPT',
      `config.json: hidden_size ${hiddenSize} does not divide among ${heads} heads`,
    );
  return hiddenSize / heads;
}
