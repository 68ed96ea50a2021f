import { type AdapterLayout, type LoraTarget, loraTargets, WeftError } from '@weft/shared';
import { z } from 'zod';

/** A rank beyond this is a mistake or an attack: factors would be larger than the layers they adapt. */
const maxRank = 4096;

/** adapter_config.json, as far as it changes what the adapter computes. Keys that do not are not looked at. */
const schema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().min(1).max(maxRank),
  lora_alpha: z.number().positive(),
  target_modules: z.array(z.enum(loraTargets)).min(1),
  bias: z.literal('none').default('none'),
  fan_in_fan_out: z.literal(false).default(false),
  use_dora: z.literal(false).default(false),
  use_rslora: z.literal(false).default(false),
  modules_to_save: z.array(z.never()).nullish(),
  layers_to_transform: z.null().optional(),
  rank_pattern: z.record(z.string(), z.never()).nullish(),
  alpha_pattern: z.record(z.string(), z.never()).nullish(),
  base_model_name_or_path: z.string().nullish(),
});

export interface AdapterSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly LoraTarget[];
  /** What the adapter calls the model that it was trained on. */
  readonly baseName: string | undefined;
}

export function parseAdapterConfig(json: string): AdapterSettings {
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch (cause) {
    throw new WeftError('WEFT_ADAPTER_CORRUPT', 'adapter_config.json is not JSON', {}, { cause });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'content'}: ${message}`);
    throw new WeftError('WEFT_ADAPTER_UNSUPPORTED', `adapter_config.json: ${problems.join('; ')}`);
  }
  const { r, lora_alpha, target_modules, base_model_name_or_path: name } = parsed.data;
  return { rank: r, alpha: lora_alpha, targets: target_modules, baseName: name?.slice(0, 120) };
}

/** What PEFT writes for such an adapter. */
export const toAdapterConfig = ({ rank, alpha, targets }: AdapterLayout, baseModel: string): string =>
  `${JSON.stringify(
    {
      alpha_pattern: {},
      base_model_name_or_path: baseModel,
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      lora_alpha: alpha,
      lora_dropout: 0,
      modules_to_save: null,
      peft_type: 'LORA',
      r: rank,
      rank_pattern: {},
      target_modules: targets,
      task_type: 'CAUSAL_LM',
      use_dora: false,
      use_rslora: false,
    },
    undefined,
    2,
  )}\n`;
