import { WeftError } from '@weft/shared';
import { z } from 'zod';
import type { Family } from '../models/families.ts';
import type { ModelConfig } from '../models/model.ts';

const layerList = <T extends z.ZodType>(item: T) => z.array(item).max(1024).nullish();

/** Everything that sets one layer apart from another. */
const pattern = z.object({
  sliding_window: z.int().min(1).nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().min(0).nullish(),
  sliding_window_pattern: z.int().min(1).nullish(),
  layer_types: layerList(z.enum(['full_attention', 'sliding_attention'])),
  no_rope_layers: layerList(z.union([z.literal(0), z.literal(1)])),
  no_rope_layer_interval: z.int().min(1).nullish(),
});

/** Which layers slide and which do not rotate, from the keys that the family heeds. */
export function parseLayerPattern(
  json: Record<string, unknown>,
  { heeds }: Family,
  layers: number,
): Pick<ModelConfig, 'slidingWindow' | 'noRopeLayers'> {
  const parsed = pattern.safeParse(json);
  if (!parsed.success) {
    const keys = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new WeftError('WEFT_MODEL_UNSUPPORTED', `config.json: the model uses ${keys}`, {
      feature: String(parsed.error.issues[0]?.path[0]),
    });
  }
  const c = parsed.data;
  for (const key of ['layer_types', 'no_rope_layers'] as const) {
    const list = c[key];
    if (list && heeds.includes(key) && list.length < layers)
      throw new WeftError('WEFT_MODEL_CORRUPT', `config.json: ${key} has ${list.length} entries for ${layers} layers`);
  }
  const those = (holds: (layer: number) => boolean): number[] =>
    Array.from({ length: layers }, (_, layer) => layer).filter((layer) => holds(layer));

  const switchedOn = !heeds.includes('use_sliding_window') || c.use_sliding_window === true;
  // Where layer_types does not say: in transformers' Qwen2 the layers from max_window_layers on, in its Gemma 3 all but
  // every sixth.
  const slides = (layer: number): boolean => {
    if (heeds.includes('layer_types') && c.layer_types) return c.layer_types[layer] === 'sliding_attention';
    if (heeds.includes('max_window_layers')) return layer >= (c.max_window_layers ?? 28);
    return !heeds.includes('sliding_window_pattern') || (layer + 1) % (c.sliding_window_pattern ?? 6) !== 0;
  };
  const size = heeds.includes('sliding_window') && switchedOn ? c.sliding_window : undefined;
  if (!size && heeds.includes('sliding_window_pattern') && those(slides).length > 0)
    throw new WeftError('WEFT_MODEL_CORRUPT', 'config.json: sliding_window is not stated, and layers slide');

  // transformers' SmolLM3: 1 where a layer rotates; without the list every fourth layer does not
  const rotates = (layer: number): boolean =>
    c.no_rope_layers ? c.no_rope_layers[layer] === 1 : (layer + 1) % (c.no_rope_layer_interval ?? 4) !== 0;
  return {
    ...(size && { slidingWindow: { size, layers: those(slides) } }),
    ...(heeds.includes('no_rope_layers') && { noRopeLayers: those((layer) => !rotates(layer)) }),
  };
}
