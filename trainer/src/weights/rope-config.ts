import { WeftError } from '@weft/shared';
import { z } from 'zod';
import type { RopeScaling } from '../ops/rope-scaling.ts';

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
    truncate: z.boolean().default(true),
    original_max_position_embeddings: positions,
  }),
} as const;

const described = z.object({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: base.nullish(),
  mscale: absent,
  mscale_all_dim: absent,
  partial_rotary_factor: z.literal(1).nullish(),
});

export interface RopeConfig {
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
}

/** Rotary embedding as config.json describes it: in rope_scaling, else where transformers 5 writes it, rope_parameters. */
export function parseRope(json: Record<string, unknown>, maxPositions: number): RopeConfig {
  const key = json['rope_scaling'] ? 'rope_scaling' : 'rope_parameters';
  const rope = described.safeParse(json[key] ?? {});
  if (!rope.success)
    throw unsupported(key, rope.error.issues.map((issue) => [key, ...issue.path].join('.')).join(', '));
  const type = rope.data.rope_type ?? rope.data.type ?? 'default';
  const nested = (json['rope_parameters'] as { rope_theta?: unknown } | null | undefined)?.rope_theta;
  const theta = base.nullish().safeParse(rope.data.rope_theta ?? nested ?? json['rope_theta']);
  if (!theta.success) throw corrupt('rope_theta is no number above 1');
  const scaling = ropeScaling(key, type, json[key], maxPositions);
  return { ropeTheta: theta.data ?? 10_000, ...(scaling && { ropeScaling: scaling }) };
}

function ropeScaling(key: string, type: string, value: unknown, maxPositions: number): RopeScaling | undefined {
  switch (type) {
    case 'default':
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
        attentionFactor: c.attention_factor ?? undefined,
        truncate: c.truncate,
      };
    }
    default:
      throw unsupported(key, `${key} of type ${type.slice(0, 40)}`);
  }
}

function read<T extends z.ZodType>(key: string, schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${[key, ...issue.path].join('.')}: ${issue.message}`);
  throw corrupt(problems.join('; '));
}

const unsupported = (feature: string, what: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `config.json: the model uses ${what}`, { feature });

const corrupt = (what: string): WeftError => new WeftError('WEFT_MODEL_CORRUPT', `config.json: ${what}`);
