import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { AdapterLayout, LoraTarget } from '@weft/shared';
import type { LoadedAdapter } from '../adapters/peft-folder.ts';
import { families } from '../models/families.ts';
import type { ModelConfig } from '../models/model.ts';
import { toGgufRows } from '../weights/gguf/head-rows.ts';
import { writeGguf, type GgufEntryToWrite, type GgufTensorToWrite } from '../weights/gguf/write.ts';
import { toBytes } from '../weights/half.ts';
import { cardOf } from './loading-notes.ts';
import { modelCard, type Origin, originEntries } from './model-card.ts';
import { writeNewFiles } from './new-path.ts';

/** llama.cpp's names of the layers that LoRA adapts (gguf-py, tensor_mapping.py). */
export const ggufLayerNames: Readonly<Record<LoraTarget, string>> = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
};

/** general.file_type: all tensors are float32 (llama.h, llama_ftype). */
const allF32 = 0;

/** The file that llama.cpp's convert_lora_to_gguf.py writes, in float32, which `llama-cli --lora` takes; beside it its card. */
export async function writeGgufLora(
  path: string,
  config: ModelConfig,
  loaded: LoadedAdapter,
  origin: Origin,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const text = (value: string): GgufEntryToWrite => ({ type: 'string', value });
  const metadata = new Map<string, GgufEntryToWrite>([
    ['general.architecture', text(families[config.family].gguf.architecture)],
    ['general.type', text('adapter')],
    ['adapter.type', text('lora')],
    ['adapter.lora.alpha', { type: 'f32', value: loaded.layout.alpha }],
    ['general.name', text(`${origin.baseName}, fine-tuned`)],
    ['general.description', text(`LoRA adapter for ${origin.baseName}, made with: ${origin.command}`)],
    ['general.base_model.count', { type: 'u32', value: 1 }],
    ['general.base_model.0.name', text(origin.baseName)],
    ['general.file_type', { type: 'u32', value: allF32 }],
    ...Object.entries(originEntries(origin)).map(([key, value]) => [key, text(value)] as const),
  ]);
  const card = cardOf(path);
  await writeNewFiles([card, path], async (folder) => {
    await writeFile(join(folder, basename(card)), modelCard(origin, 'gguf-lora', basename(path)));
    const tensors = ggufTensors(config, loaded.layout, loaded.adapter);
    await writeGguf(join(folder, basename(path)), metadata, tensors, options);
  });
}

/** A stays as it is; B makes the rows of q and k, and goes with them into the order that the family's GGUF has. */
const ggufTensors = (config: ModelConfig, layout: AdapterLayout, adapter: Float32Array): GgufTensorToWrite[] =>
  layout.tensors.map(({ layer, target, factor, shape, offset }) => ({
    name: `blk.${layer}.${ggufLayerNames[target]}.weight.lora_${factor.toLowerCase()}`,
    type: 'F32',
    shape,
    data: () => {
      const values = adapter.subarray(offset, offset + shape[0] * shape[1]);
      const { interleavesHeads } = families[config.family].gguf;
      const isPermuted = interleavesHeads && factor === 'B' && (target === 'q_proj' || target === 'k_proj');
      return [toBytes(isPermuted ? toGgufRows(values, layout.rank, config.headDim) : values, 'F32')];
    },
  }));
