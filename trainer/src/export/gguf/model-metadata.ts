import { WeftError } from '@weft/shared';
import { families, type Family } from '../../models/families.ts';
import type { ModelConfig } from '../../models/model.ts';
import { type RopeScaling, ropeFrequencies, yarnMagnitude } from '../../ops/rope-scaling.ts';
import type { GgufEntryToWrite } from '../../weights/gguf/write.ts';

export type GgufEntries = [key: string, entry: GgufEntryToWrite][];

export const u32 = (value: number): GgufEntryToWrite => ({ type: 'u32', value });
export const f32 = (value: number): GgufEntryToWrite => ({ type: 'f32', value });
export const text = (value: string): GgufEntryToWrite => ({ type: 'string', value });

/** A model's numbers in llama.cpp's keys (convert_hf_to_gguf.py, set_gguf_parameters of each family). */
export function modelEntries(config: ModelConfig): GgufEntries {
  const { architecture } = families[config.family].gguf;
  refuseOther(config);
  const entries: GgufEntries = [
    ['block_count', u32(config.layers)],
    ['context_length', u32(contextLength(config))],
    ['embedding_length', u32(config.hiddenSize)],
    ['feed_forward_length', u32(config.intermediateSize)],
    ['attention.head_count', u32(config.heads)],
    ['attention.head_count_kv', u32(config.kvHeads)],
    ['attention.key_length', u32(config.headDim)],
    ['attention.value_length', u32(config.headDim)],
    ['attention.layer_norm_rms_epsilon', f32(config.rmsNormEps)],
    ['vocab_size', u32(config.vocabSize)],
    ['rope.dimension_count', u32(config.headDim)],
    ['rope.freq_base', f32(config.ropeTheta)],
    ...scalingEntries(config.ropeScaling),
    ...windowEntries(config),
  ];
  return entries.map(([key, entry]) => [`${architecture}.${key}`, entry]);
}

/** What llama.cpp divides each pair's frequency by, [headDim / 2], where a scaling has no key of its own. */
export function ropeDivisors({ headDim, ropeTheta, ropeScaling }: ModelConfig): Float32Array | undefined {
  if (ropeScaling?.type !== 'llama3') return undefined;
  const scaled = ropeFrequencies(headDim, ropeTheta, ropeScaling).perPosition;
  return Float32Array.from(ropeFrequencies(headDim, ropeTheta).perPosition, (plain, i) => plain / (scaled[i] ?? 1));
}

/** llama.cpp has windows for Gemma alone here: elsewhere a text must fit the window, within which it changes nothing. */
const contextLength = ({ maxPositions, slidingWindow, family }: ModelConfig): number =>
  slidingWindow && !hasLocalLayers(family) ? Math.min(maxPositions, slidingWindow.size) : maxPositions;

const hasLocalLayers = (family: ModelConfig['family']): boolean => {
  const { heeds }: Family = families[family];
  return heeds.includes('rope_local_base_freq');
};

function scalingEntries(scaling: RopeScaling | undefined): GgufEntries {
  if (scaling === undefined || scaling.type === 'llama3') return [];
  const entries: GgufEntries = [
    ['rope.scaling.type', text(scaling.type)],
    ['rope.scaling.factor', f32(scaling.factor)],
  ];
  if (scaling.type === 'linear') return entries;
  const { factor, originalMaxPositions, attentionFactor } = scaling;
  return [
    ...entries,
    ['rope.scaling.original_context_length', u32(originalMaxPositions)],
    // llama.cpp multiplies it by the usual one
    ...(attentionFactor === undefined
      ? []
      : ([['rope.scaling.attn_factor', f32(attentionFactor / yarnMagnitude(factor))]] satisfies GgufEntries)),
  ];
}

function windowEntries(config: ModelConfig): GgufEntries {
  const { slidingWindow, localRope, family } = config;
  if (!slidingWindow || !hasLocalLayers(family)) return [];
  return [
    ['attention.sliding_window', u32(slidingWindow.size)],
    ['attention.sliding_window_pattern', u32(localPeriod(config))],
    ['rope.freq_base_swa', f32((localRope ?? config).ropeTheta)],
  ];
}

/** Every how many layers one sees all: the last of each such group. */
function localPeriod({ slidingWindow, layers }: ModelConfig): number {
  const local = new Set(slidingWindow?.layers);
  const first = Array.from({ length: layers }, (_, layer) => layer).find((layer) => !local.has(layer));
  return (first ?? layers) + 1;
}

/** llama.cpp has these in its code, not in the file: a model that differs would be computed wrongly and in silence. */
function refuseOther(config: ModelConfig): void {
  const { family, layers, headDim, heads, hiddenSize, ropeScaling, slidingWindow, localRope } = config;
  const each = Array.from({ length: layers }, (_, layer) => layer);
  const differs = (listed: readonly number[] | undefined, holds: (layer: number) => boolean): boolean =>
    each.some((layer) => holds(layer) !== (listed?.includes(layer) ?? false));

  if (family === 'smollm3' && differs(config.noRopeLayers, (layer) => (layer + 1) % 4 === 0))
    throw refused('layers without rotary embedding other than each fourth');
  if (ropeScaling?.type === 'llama3' && families[family].gguf.architecture !== 'llama')
    throw refused(`rope_scaling of type llama3 in a ${family}`);
  if (ropeScaling?.type === 'yarn') {
    const { truncate, betaFast, betaSlow } = ropeScaling;
    if (!truncate) throw refused('yarn without whole dimensions');
    // a file may state others, and llama.cpp takes these all the same
    if (betaFast !== 32 || betaSlow !== 1) throw refused(`yarn's betas ${betaFast} and ${betaSlow}, not 32 and 1`);
  }
  if (hasLocalLayers(family)) {
    const period = localPeriod(config);
    if (differs(slidingWindow?.layers, (layer) => (layer + 1) % period !== 0))
      throw refused('sliding_window layers without a period');
    if (localRope?.ropeScaling) throw refused('rope_scaling in layers with a sliding window');
    // llama.cpp knows Gemma 3 27B, which alone divides so, by its layers
    const usual = layers === 62 ? hiddenSize / heads : headDim;
    if ((config.queryPreAttnScalar ?? headDim) !== usual)
      throw refused(`query_pre_attn_scalar ${config.queryPreAttnScalar}, not ${usual}`);
  }
}

const refused = (feature: string): WeftError =>
  new WeftError('WEFT_EXPORT_INEXPRESSIBLE', `a GGUF cannot hold what the model uses: ${feature}`, { feature });
