import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdapterLayout, loraTargets, sha256 } from '@weft/shared';
import { expect, test } from 'vitest';
import { folderConfig } from '../../test/model-folder.ts';
import { families, type FamilyName } from '../models/families.ts';
import { readGgufHeader } from '../weights/gguf/read.ts';
import { toHuggingFaceName } from '../weights/gguf/tensor-names.ts';
import { readExactly } from '../weights/safetensors/read.ts';
import { ggufLayerNames, writeGgufLora } from './gguf-lora.ts';

const config = { ...folderConfig, heads: 4, kvHeads: 2, headDim: 6 };
const layout = createAdapterLayout(config, { rank: 3, alpha: 6, targets: loraTargets });
const adapter = Float32Array.from({ length: layout.size }, (_, i) => i + 0.5);

async function written(family: FamilyName = 'llama') {
  const folder = await mkdtemp(join(tmpdir(), 'weft-gguf-lora-'));
  try {
    const file = join(folder, 'adapter.gguf');
    const origin = {
      baseName: 'base',
      baseSha256: sha256('b'),
      adapter: { sha256: sha256('a'), layout },
      command: 'c',
    };
    await writeGgufLora(file, { ...config, family }, { layout, adapter }, origin);
    const { metadata, tensors } = await readGgufHeader(file);
    const handle = await open(file, 'r');
    const values = new Map<string, Float32Array>();
    for (const [name, { offset, sizeBytes }] of tensors)
      values.set(name, new Float32Array((await readExactly(handle, offset, sizeBytes)).buffer));
    await handle.close();
    return { metadata: Object.fromEntries(metadata), tensors, values };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the file says what llama.cpp asks of an adapter', async () => {
  const { metadata } = await written();
  expect(metadata).toMatchObject({
    'general.architecture': 'llama',
    'general.type': 'adapter',
    'adapter.type': 'lora',
    'adapter.lora.alpha': 6,
    'weft.base_sha256': sha256('b'),
  });
});

test('every factor is there once, under the name of the layer that it adapts', async () => {
  const { tensors, values } = await written();
  expect(tensors.size).toBe(layout.tensors.length);
  for (const { layer, target, factor, shape, offset } of layout.tensors) {
    const layerName = `blk.${layer}.${ggufLayerNames[target]}.weight`;
    expect(toHuggingFaceName(layerName, families.llama)).toMatch(
      new RegExp(`^model\\.layers\\.${layer}\\.\\w+\\.${target}\\.weight$`),
    );
    const name = `${layerName}.lora_${factor.toLowerCase()}`;
    expect(tensors.get(name)).toMatchObject({ type: 'F32', shape });
    const plain = adapter.subarray(offset, offset + shape[0] * shape[1]);
    const moves = factor === 'B' && ['q_proj', 'k_proj'].includes(target);
    if (moves) expect(values.get(name)).not.toEqual(plain);
    else expect(values.get(name)).toEqual(plain);
  }
});

test('in B of q and k the halves of each head are interleaved, as llama.cpp turns neighbouring rows', async () => {
  const { values } = await written();
  const b = layout.tensors.find(({ target, factor }) => target === 'k_proj' && factor === 'B');
  const rowOf = (row: number): number[] => [
    ...adapter.subarray((b?.offset ?? 0) + 3 * row, (b?.offset ?? 0) + 3 * row + 3),
  ];
  // two heads of six rows
  const order = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
  expect([...(values.get('blk.0.attn_k.weight.lora_b') ?? [])]).toEqual(order.flatMap(rowOf));
});

test('a Qwen keeps the rows in their order, and Mistral goes by the name that llama.cpp has for it', async () => {
  const { metadata, values } = await written('qwen2');
  expect(metadata['general.architecture']).toBe('qwen2');
  const b = layout.tensors.find(({ target, factor }) => target === 'k_proj' && factor === 'B');
  const plain = adapter.subarray(b?.offset, (b?.offset ?? 0) + 12 * 3);
  expect(values.get('blk.0.attn_k.weight.lora_b')).toEqual(plain);
  expect((await written('mistral')).metadata['general.architecture']).toBe('llama');
});
