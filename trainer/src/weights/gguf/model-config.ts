import { WeftError } from '@weft/shared';
import type { ModelConfig } from '../../models/model.ts';
import { checkConfig } from '../config-limits.ts';
import { corrupt } from './cursor.ts';
import type { GgufHeader, GgufValue } from './header.ts';

const unsupported = (feature: string, what: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: ${what}`, { feature });

/** The configuration that Hugging Face's config.json would hold, from llama.cpp's metadata keys. */
export function configFromGguf({ metadata, tensors }: GgufHeader): ModelConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') {
    throw unsupported(
      'architecture',
      `the architecture is ${typeof architecture === 'string' ? architecture.slice(0, 40) : 'not stated'}; Weft trains llama`,
    );
  }
  refuseFeatures(metadata);
  const hiddenSize = whole(metadata, 'llama.embedding_length');
  const heads = whole(metadata, 'llama.attention.head_count');
  const headDim = whole(metadata, 'llama.attention.key_length', hiddenSize / heads);
  const ropeDim = whole(metadata, 'llama.rope.dimension_count', headDim);
  if (ropeDim !== headDim)
    throw unsupported('partial rotary', `rotary embedding turns ${ropeDim} of ${headDim} dimensions; Weft turns all`);
  if (whole(metadata, 'llama.attention.value_length', headDim) !== headDim)
    throw unsupported('value_length', 'keys and values differ in length');
  const vocabSize = tensors.get('token_embd.weight')?.shape[0];
  if (vocabSize === undefined) throw corrupt('there is no token_embd.weight');
  return checkConfig({
    family: 'llama',
    hiddenSize,
    intermediateSize: whole(metadata, 'llama.feed_forward_length'),
    layers: whole(metadata, 'llama.block_count'),
    heads,
    kvHeads: whole(metadata, 'llama.attention.head_count_kv', heads),
    headDim,
    vocabSize,
    ropeTheta: real(metadata, 'llama.rope.freq_base', 10_000),
    rmsNormEps: real(metadata, 'llama.attention.layer_norm_rms_epsilon'),
    tieWordEmbeddings: !tensors.has('output.weight'),
    maxPositions: whole(metadata, 'llama.context_length'),
  });
}

function refuseFeatures(metadata: ReadonlyMap<string, GgufValue>): void {
  const scaling = metadata.get('llama.rope.scaling.type');
  if (scaling !== undefined && scaling !== 'none') throw unsupported('rope_scaling', 'the model uses rope_scaling');
  const scale = metadata.get('llama.rope.scale_linear');
  if (scale !== undefined && scale !== 1) throw unsupported('rope_scaling', 'the model uses rope_scaling');
  if (positive(metadata.get('llama.expert_count')))
    throw unsupported('mixture of experts', 'the model is a mixture of experts');
  if (positive(metadata.get('llama.attention.sliding_window')))
    throw unsupported('sliding_window', 'the model uses sliding_window attention');
}

const positive = (value: GgufValue | undefined): boolean => typeof value === 'number' && value > 0;

function whole(metadata: ReadonlyMap<string, GgufValue>, key: string, otherwise?: number): number {
  const value = metadata.get(key) ?? otherwise;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw corrupt(`${key} is no whole number above 0`);
  return value;
}

/** The file's float32 as the shortest decimal that means it, so that 9.999999747378752e-06 is 1e-5 again. */
function real(metadata: ReadonlyMap<string, GgufValue>, key: string, otherwise?: number): number {
  const value = metadata.get(key) ?? otherwise;
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) throw corrupt(`${key} is no number above 0`);
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === Math.fround(value)) return shorter;
  }
  return value;
}
