import { WeftError } from '@weft/shared';
import { z } from 'zod';
import type { Family } from '../models/families.ts';
import { type Rope, type RopeScaling, yarnMagnitude } from '../ops/rope-scaling.ts';

const positive = z.number().positive();
/** The base of a geometric series of wavelengths. */
const base = z.number().gt(1);
const factor = z.number().min(1).max(1e6);
const positions = z.int().min(1).nullish();
/** A feature that is there when its key has any value. */
const absent = z.null().optional();

/** What each rope_type reads; under these keys nothing else changes the angles. */
const types = {
  default: z.object({}),
  linear: z.object({ factor }),
  dynamic: z.object({ factor }),
  llama3: z
    .object({
      factor,
      low_freq_factor: positive,
      high_freq_factor: positive,
      original_max_position_embeddings: positions,
    })
    .refine((c) => c.low_freq_factor < c.high_freq_factor, 'low_freq_factor is not below high_freq_factor'),
  yarn: z.object({
    factor,
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    attention_factor: positive.nullish(),
    mscale: z.number().min(0).nullish(),
    mscale_all_dim: z.number().min(0).nullish(),
    truncate: z.boolean().default(true),
    original_max_position_embeddings: positions,
  }),
} as const;

const common = z.object({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: base.nullish(),
  partial_rotary_factor: z.literal(1).nullish(),
  // Each kind of layer with a pace of its own: only where the family has that.
  full_attention: absent,
  sliding_attention: absent,
});

/**
 * Rotary embedding as config.json describes it: in rope_scaling, else where transformers 5 writes it, rope_parameters.
 * A family whose local layers turn at another pace has both there by the kind of layer.
 */
export function parseRope(
  json: Record<string, unknown>,
  family: Family,
  maxPositions: number,
): Rope & { readonly localRope?: Rope } {
  const described = asObject(json, 'rope_parameters');
  if (!family.heeds.includes('rope_local_base_freq')) {
    const key = json['rope_scaling'] ? 'rope_scaling' : 'rope_parameters';
    const original = json['original_max_position_embeddings'] ?? undefined;
    const value = {
      ...asObject(json, key),
      ...(original !== undefined && { original_max_position_embeddings: original }),
    };
    const theta = described['rope_theta'] ?? json['rope_theta'];
    return ropeOf(key, value, theta, family.ropeTheta, maxPositions);
  }
  const [global, local] = [asObject(described, 'full_attention'), asObject(described, 'sliding_attention')];
  const scaled = { ...global, ...asObject(json, 'rope_scaling') };
  return {
    ...ropeOf('rope_scaling', scaled, json['rope_theta'], family.ropeTheta, maxPositions),
    localRope: ropeOf('rope_parameters', local, json['rope_local_base_freq'], localTheta, maxPositions),
  };
}

/** Of Gemma 3's local layers, where its config.json does not say so. */
const localTheta = 10_000;

function asObject(json: Record<string, unknown>, key: string): Record<string, unknown> {
  const value = json[key] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw corrupt(`${key} is no object`);
  return { ...value };
}

function ropeOf(key: string, value: object, theta: unknown, otherwise: number, maxPositions: number): Rope {
  const rope = common.safeParse(value);
  if (!rope.success)
    throw unsupported(key, rope.error.issues.map((issue) => [key, ...issue.path].join('.')).join(', '));
  const type = rope.data.rope_type ?? rope.data.type ?? 'default';
  const stated = base.nullish().safeParse(rope.data.rope_theta ?? theta);
  if (!stated.success) throw corrupt('rope_theta is no number above 1');
  const scaling = ropeScaling(key, type, value, maxPositions);
  return { ropeTheta: stated.data ?? otherwise, ...(scaling && { ropeScaling: scaling }) };
}

function ropeScaling(key: string, type: string, value: unknown, maxPositions: number): RopeScaling | undefined {
  switch (type) {
    case 'default':
      return undefined;
    case 'dynamic':
      // transformers' dynamic scaling begins beyond max_position_embeddings, and Weft ends there
      read(key, types.dynamic, value);
      return undefined;
    case 'linear':
      return { type, factor: read(key, types.linear, value).factor };
    case 'llama3': {
      const c = read(key, types.llama3, value);
      return {
        type,
        factor: c.factor,
        lowFreqFactor: c.low_freq_factor,
        highFreqFactor: c.high_freq_factor,
        originalMaxPositions: c.original_max_position_embeddings ?? maxPositions,
      };
    }
    case 'yarn': {
      const c = read(key, types.yarn, value);
      return {
        type,
        factor: c.factor,
        betaFast: c.beta_fast ?? 32,
        betaSlow: c.beta_slow ?? 1,
        originalMaxPositions: c.original_max_position_embeddings ?? maxPositions,
        attentionFactor: c.attention_factor ?? yarnAttentionFactor(c.factor, c.mscale, c.mscale_all_dim),
        truncate: c.truncate,
      };
    }
    default:
      throw unsupported(key, `${key} of type ${type.slice(0, 40)}`);
  }
}

/** As transformers' _compute_yarn_parameters has it: DeepSeek's two factors count together or not at all. */
const yarnAttentionFactor = (scale: number, mscale?: number | null, allDim?: number | null): number | undefined =>
  mscale && allDim ? yarnMagnitude(scale, mscale) / yarnMagnitude(scale, allDim) : undefined;

function read<T extends z.ZodType>(key: string, schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${[key, ...issue.path].join('.')}: ${issue.message}`);
  throw corrupt(problems.join('; '));
}

const unsupported = (feature: string, what: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `config.json: the model uses ${what}`, { feature });

const corrupt = (what: string): WeftError => new WeftError('WEFT_MODEL_CORRUPT', `config.json: ${what}`);
