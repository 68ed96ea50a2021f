import { families, type Family, type FamilyName } from '../../models/families.ts';
import type { ModelConfig } from '../../models/model.ts';
import { checkConfig } from '../config-limits.ts';
import { parseLayerPattern } from '../layer-pattern.ts';
import { corrupt } from './cursor.ts';
import type { GgufHeader } from './header.ts';
import { MetadataReader, unsupported } from './metadata-reader.ts';
import { ropeFromGguf } from './rope.ts';

/**
 * The configuration that Hugging Face's config.json would hold, from llama.cpp's metadata keys.
 *
 * @param ropeDivisors the values of the tensor `rope_freqs.weight`, where the file has it
 */
export function configFromGguf({ metadata, tensors }: GgufHeader, ropeDivisors?: Float32Array): ModelConfig {
  const architecture = metadata.get('general.architecture');
  const keys = new MetadataReader(metadata, typeof architecture === 'string' ? architecture : '');
  const name = familyOf(architecture, keys);
  const family: Family = families[name];
  refuseFeatures(keys, family);
  const hiddenSize = keys.whole('embedding_length');
  const heads = keys.whole('attention.head_count');
  const headDim = keys.whole('attention.key_length', hiddenSize / heads);
  const layers = keys.whole('block_count');
  const maxPositions = keys.whole('context_length');
  const ropeDim = keys.whole('rope.dimension_count', headDim);
  if (ropeDim !== headDim)
    throw unsupported('partial rotary', `rotary embedding turns ${ropeDim} of ${headDim} dimensions; Weft turns all`);
  if (keys.whole('attention.value_length', headDim) !== headDim)
    throw unsupported('value_length', 'keys and values differ in length');
  const vocabSize = tensors.get('token_embd.weight')?.shape[0];
  if (vocabSize === undefined) throw corrupt('there is no token_embd.weight');
  // before anything is laid out by the layer
  const config = checkConfig({
    family: name,
    hiddenSize,
    intermediateSize: keys.whole('feed_forward_length'),
    layers,
    heads,
    kvHeads: keys.whole('attention.head_count_kv', heads),
    headDim,
    vocabSize,
    rmsNormEps: keys.real('attention.layer_norm_rms_epsilon'),
    tieWordEmbeddings: !tensors.has('output.weight'),
    maxPositions,
    ropeTheta: keys.real('rope.freq_base', 10_000),
  });
  return {
    ...config,
    ...ropeFromGguf(keys, headDim, maxPositions, ropeDivisors),
    ...layerPattern(keys, family, layers),
    ...gemmaAttention(keys, family, config),
  };
}

/** llama.cpp keeps Mistral under Llama's name; what sets it apart is the window of its attention. */
function familyOf(architecture: unknown, keys: MetadataReader): FamilyName {
  if (architecture === 'llama') return keys.isOn('attention.sliding_window') ? 'mistral' : 'llama';
  const names = Object.keys(families) as FamilyName[];
  const found = names.find((name) => families[name].gguf.architecture === architecture);
  if (found !== undefined) return found;
  const known = [...new Set(names.map((name) => families[name].gguf.architecture))].join(', ');
  throw unsupported(
    'architecture',
    `the architecture is ${typeof architecture === 'string' ? architecture.slice(0, 40) : 'not stated'}; Weft trains ${known}`,
  );
}

function refuseFeatures(keys: MetadataReader, { heeds }: Family): void {
  if (keys.isOn('expert_count')) throw unsupported('mixture of experts', 'the model is a mixture of experts');
  // Qwen's windows are switched off in the models that were published; a GGUF does not say which layers one is for
  const hasWindow = heeds.includes('sliding_window') && !heeds.includes('use_sliding_window');
  if (keys.isOn('attention.sliding_window') && !hasWindow)
    throw unsupported('sliding_window', 'the model uses sliding_window attention');
  for (const feature of ['attn_logit_softcapping', 'final_logit_softcapping', 'attention.scale', 'logit_scale'])
    if (keys.isOn(feature)) throw unsupported(feature, `the model uses ${feature}`);
}

function layerPattern(
  keys: MetadataReader,
  family: Family,
  layers: number,
): Pick<ModelConfig, 'slidingWindow' | 'noRopeLayers'> {
  const on = keys.isOn('attention.sliding_window');
  if (!on && family.heeds.includes('sliding_window_pattern'))
    throw corrupt('attention.sliding_window is not stated, and layers slide');
  const period = keys.value('attention.sliding_window_pattern');
  if (period !== undefined && typeof period !== 'number')
    throw unsupported('sliding_window_pattern', 'the model lists the layers that slide');
  return parseLayerPattern(
    {
      ...(on && { sliding_window: keys.whole('attention.sliding_window') }),
      ...(period !== undefined && { sliding_window_pattern: keys.whole('attention.sliding_window_pattern') }),
    },
    family,
    layers,
  );
}

/** Layers of the one published model whose queries are divided otherwise (llama.cpp, gemma3: LLM_TYPE_27B). */
const layersOfGemma27 = 62;

/** What llama.cpp knows of Gemma 3 without being told: the pace of local layers, and the scale of queries. */
function gemmaAttention(
  keys: MetadataReader,
  { heeds }: Family,
  { layers, hiddenSize, heads }: ModelConfig,
): Pick<ModelConfig, 'localRope' | 'queryPreAttnScalar'> {
  if (!heeds.includes('rope_local_base_freq')) return {};
  return {
    localRope: { ropeTheta: keys.real('rope.freq_base_swa', 10_000) },
    ...(layers === layersOfGemma27 && { queryPreAttnScalar: hiddenSize / heads }),
  };
}
