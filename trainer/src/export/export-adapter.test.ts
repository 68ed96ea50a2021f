import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AdapterLayout, createAdapterLayout, createSeededRandom, loraTargets, sha256 } from '@weft/shared';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyLlama, type GgufTensorToWrite } from '../../test/gguf-file.ts';
import { folderConfig, writeModelFolder, zeroTensors } from '../../test/model-folder.ts';
import { loadAdapter, saveAdapter } from '../adapters/peft-folder.ts';
import { adapterHash, saveTrainingRecord } from '../adapters/training-record.ts';
import { evaluate } from '../evaluate.ts';
import type { Model } from '../models/model.ts';
import { openModel } from '../open-model.ts';
import { readTensor } from '../weights/safetensors/read.ts';
import { exportAdapter, type ExportFormat, type ExportOptions } from './export-adapter.ts';

const tiny = fileURLToPath(new URL('../../../models/weft-tiny-llama', import.meta.url));
const command = 'weft export';

let root = '';
const at = (name: string): string => join(root, name);
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-export-'));
});
afterEach(() => rm(root, { recursive: true }));

const noise = (count: number, seed: string, scale: number): Float32Array => {
  const random = createSeededRandom(seed);
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) * scale);
};

/** An adapter on every linear layer, both factors far from zero. */
async function putAdapter(model: Model, scale = 0.1): Promise<{ layout: AdapterLayout; adapter: Float32Array }> {
  const layout = createAdapterLayout(model.config, { rank: 3, alpha: 6, targets: loraTargets });
  const adapter = noise(layout.size, 'adapter', scale);
  await saveAdapter(at('adapter'), model, { layout, adapter });
  return { layout, adapter };
}

/** llama.cpp's files say so in their names. */
const outOf = (format: ExportFormat): string => (format.startsWith('gguf') ? 'out.gguf' : 'out');

const write = (model: Model, format: ExportFormat, change: Partial<ExportOptions> = {}) =>
  exportAdapter({ model, adapter: at('adapter'), format, out: at(outOf(format)), command, ...change });

const lossOf = async (model: Model, adapter?: { layout: AdapterLayout; adapter: Float32Array }): Promise<number> => {
  const inputIds = Int32Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % 250);
  const { lossSum, tokens } = await evaluate({
    model,
    ...adapter,
    examples: [{ inputIds, labels: inputIds }],
    threads: 1,
    device: 'cpu',
  });
  return lossSum / tokens;
};

/** A GGUF with weights that are not zero, so that a wrong row shows. */
async function putGguf(): Promise<Model> {
  const tensor = (name: string, shape: readonly number[]): GgufTensorToWrite => {
    const values = noise(
      shape.reduce((a, b) => a * b, 1),
      name,
      0.3,
    );
    return { name, type: 'F32', shape, bytes: new Uint8Array(values.buffer) };
  };
  const tensors = [tensor('token_embd.weight', [259, 64]), tensor('output_norm.weight', [64])];
  for (const layer of ['blk.0.', 'blk.1.']) {
    tensors.push(
      tensor(`${layer}attn_norm.weight`, [64]),
      tensor(`${layer}attn_q.weight`, [64, 64]),
      tensor(`${layer}attn_k.weight`, [32, 64]),
      tensor(`${layer}attn_v.weight`, [32, 64]),
      tensor(`${layer}attn_output.weight`, [64, 64]),
      tensor(`${layer}ffn_norm.weight`, [64]),
      tensor(`${layer}ffn_gate.weight`, [96, 64]),
      tensor(`${layer}ffn_up.weight`, [96, 64]),
      tensor(`${layer}ffn_down.weight`, [64, 96]),
    );
  }
  const template = { 'tokenizer.chat_template': { type: 'string', value: '{{ messages[0].content }}' } } as const;
  await writeFile(at('tiny.gguf'), tinyLlama({ tensors, metadata: template }));
  return openModel(at('tiny.gguf'), { cacheDir: at('cache') });
}

describe('a merged folder', () => {
  it('scores as the base with its adapter, and not as the base', async () => {
    const model = await openModel(tiny);
    const adapter = await putAdapter(model);
    await write(model, 'safetensors');
    const merged = await openModel(at('out'));
    const [together, apart, base] = [await lossOf(merged), await lossOf(model, adapter), await lossOf(model)];
    expect(Math.abs(together - apart) / apart).toBeLessThan(1e-5);
    expect(Math.abs(together - base) / base).toBeGreaterThan(1e-2);
  });

  it('of a GGUF has its configuration, tokenizer and template', async () => {
    const model = await putGguf();
    const adapter = await putAdapter(model);
    await write(model, 'safetensors');
    const merged = await openModel(at('out'));
    expect(merged.config).toEqual(model.config);
    const { bosTokenId, eosTokenId, padTokenId, vocabSize } = model.tokenizer;
    expect(merged.tokenizer).toMatchObject({ bosTokenId, eosTokenId, padTokenId, vocabSize });
    expect(merged.tokenizer.encode('cab</s>')).toEqual(model.tokenizer.encode('cab</s>'));
    expect(merged.tokenizer.renderChat([{ role: 'user', content: 'hello' }])).toBe('hello');
    const [together, apart] = [await lossOf(merged), await lossOf(model, adapter)];
    expect(Math.abs(together - apart) / apart).toBeLessThan(1e-5);
  });

  it("is float32, or of the base's types where that is asked for; what is not adapted keeps its bits", async () => {
    const tensors = zeroTensors().map((tensor) => ({
      ...tensor,
      data: noise(
        tensor.shape.reduce((a, b) => a * b, 1),
        tensor.name,
        1,
      ),
    }));
    const model = await openModel(await writeModelFolder(at('base'), { config: { torch_dtype: 'bfloat16' }, tensors }));
    await putAdapter(model);
    await write(model, 'safetensors');
    await write(model, 'safetensors', { out: at('half'), dtype: 'base' });
    const [wide, half] = [await openModel(at('out')), await openModel(at('half'))];
    const valuesOf = async ({ tensors: all }: Model, name: string): Promise<Float32Array> => {
      const ref = all.get(name);
      return ref ? readTensor(ref) : new Float32Array();
    };
    expect(new Set([...wide.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F32']));
    expect(new Set([...half.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    for (const name of ['model.embed_tokens.weight', 'model.norm.weight']) {
      const base = await valuesOf(model, name);
      expect(await valuesOf(wide, name)).toEqual(base);
      expect(await valuesOf(half, name)).toEqual(base);
    }
    const name = 'model.layers.0.mlp.up_proj.weight';
    const [exact, rounded] = [await valuesOf(wide, name), await valuesOf(half, name)];
    // BF16 keeps 8 bits: half a unit in the last place
    rounded.forEach((value, i) => expect(Math.abs(value - (exact[i] ?? 0))).toBeLessThanOrEqual(2 ** -8));
    expect(JSON.parse(await readFile(join(at('out'), 'config.json'), 'utf8'))).toMatchObject({
      torch_dtype: 'float32',
    });
    expect(JSON.parse(await readFile(join(at('half'), 'config.json'), 'utf8'))).toMatchObject({
      torch_dtype: 'bfloat16',
    });
  });

  it('is refused where a merged value leaves the range of the type, and nothing stays behind', async () => {
    const tensors = zeroTensors().map((tensor) => ({ ...tensor, dtype: 'F16' as const }));
    const model = await openModel(await writeModelFolder(at('base'), { tensors }));
    await putAdapter(model, 1000);
    await expect(write(model, 'safetensors', { dtype: 'base' })).rejects.toMatchObject({
      code: 'WEFT_EXPORT_OVERFLOW',
    });
    expect((await readdir(root)).toSorted()).toEqual(['adapter', 'base']);
  });
});

describe('an export', () => {
  it('as PEFT is the same adapter, byte for byte, with a card that names both hashes', async () => {
    const model = await openModel(tiny);
    const adapter = await putAdapter(model);
    const { adapterSha256 } = await write(model, 'peft');
    expect(await loadAdapter(at('out'), model)).toEqual({ ...adapter, base: 'same' });
    const bytes = await readFile(join(at('out'), 'adapter_model.safetensors'));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(adapterSha256);
    const card = await readFile(join(at('out'), 'README.md'), 'utf8');
    for (const part of [model.sha256, adapterSha256, command, 'rank 3, alpha 6']) expect(card).toContain(part);
  });

  it.each(['peft', 'safetensors', 'onnx', 'gguf', 'gguf-lora'] as const)(
    'as %s refuses the adapter of another model, and leaves nothing behind',
    async (format) => {
      await putAdapter(await openModel(tiny));
      const other = await openModel(await writeModelFolder(at('base')));
      await expect(write(other, format)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_OTHER_BASE' });
      expect((await readdir(root)).toSorted()).toEqual(['adapter', 'base']);
    },
  );

  it.each(['peft', 'safetensors', 'onnx', 'gguf', 'gguf-lora'] as const)(
    'as %s never writes over what is there',
    async (format) => {
      const model = await openModel(await writeModelFolder(at('base')));
      await putAdapter(model);
      await mkdir(at(outOf(format)));
      await writeFile(join(at(outOf(format)), 'mine.txt'), 'mine');
      await expect(write(model, format)).rejects.toMatchObject({ code: 'WEFT_EXPORT_PATH_TAKEN' });
      expect(await readdir(at(outOf(format)))).toEqual(['mine.txt']);
    },
  );

  it.each(['safetensors', 'onnx', 'gguf', 'gguf-lora'] as const)(
    'as %s stops when it is told to, and leaves nothing',
    async (format) => {
      const model = await openModel(await writeModelFolder(at('base')));
      expect(model.config).toEqual(folderConfig);
      await putAdapter(model);
      const stop = new AbortController();
      const exported = write(model, format, { signal: stop.signal });
      stop.abort();
      await expect(exported).rejects.toThrow('aborted');
      expect((await readdir(root)).toSorted()).toEqual(['adapter', 'base']);
    },
  );

  it.each(['gguf', 'gguf-lora'] as const)('as %s never writes over a card that is there', async (format) => {
    const model = await openModel(await writeModelFolder(at('base')));
    await putAdapter(model);
    await writeFile(at('out.md'), 'mine');
    await expect(write(model, format)).rejects.toMatchObject({ code: 'WEFT_EXPORT_PATH_TAKEN' });
    expect((await readdir(root)).toSorted()).toEqual(['adapter', 'base', 'out.md']);
    await expect(write(model, format, { out: at('out') })).rejects.toThrow('.gguf');
  });

  it.each(['safetensors', 'onnx', 'gguf'] as const)('as %s tells how far it is, up to the end', async (format) => {
    const model = await openModel(tiny);
    await putAdapter(model);
    const seen: { phase: string; doneBytes: number; totalBytes: number }[] = [];
    await write(model, format, { onProgress: (progress) => seen.push(progress) });
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(['write']));
    expect(seen.length).toBeGreaterThan(model.tensors.size - 1);
    const { doneBytes, totalBytes } = seen.at(-1) ?? {};
    expect(doneBytes).toBe(totalBytes);
    expect(totalBytes).toBeGreaterThan(7e6);
  });
});

describe('a card', () => {
  const cardOf = async (format: ExportFormat): Promise<string> => {
    const file = format.startsWith('gguf') ? at('out.md') : join(at('out'), 'README.md');
    const text = await readFile(file, 'utf8');
    await Promise.all(
      ['out', 'out.md', 'out.gguf', 'out.Modelfile'].map((name) => rm(at(name), { recursive: true, force: true })),
    );
    return text;
  };

  it('names the base, its licence, the adapter, how it was trained, and how each tool loads what was written', async () => {
    const model = await openModel(tiny);
    await putAdapter(model);
    const adapter = await adapterHash(at('adapter'));
    const options = { '--rank': 3, '--steps': 7, '--lr': 0.01, '--threads': 5, '--device': 'cpu' };
    const record = {
      adapter,
      model: model.sha256,
      data: sha256('rows'),
      options,
      examples: 12,
      firstLoss: 4.5,
      lastLoss: 2.25,
    };
    await saveTrainingRecord(at('adapter'), record);
    const tools = {
      peft: ['PeftModel.from_pretrained', '--adapter out '],
      safetensors: ['AutoModelForCausalLM.from_pretrained("out")'],
      onnx: ['og.Model("out")', '"out/onnx/model.onnx"', "pipeline('text-generation', 'out'"],
      gguf: [
        'llama-cli -m out.gguf',
        'ollama create NAME -f out.Modelfile',
        'lms import out.gguf',
        'weft generate --model out.gguf',
      ],
      'gguf-lora': ['--lora out.gguf', 'ADAPTER ./out.gguf'],
    } satisfies Record<ExportFormat, string[]>;
    for (const [format, parts] of Object.entries(tools) as [ExportFormat, string[]][]) {
      await write(model, format);
      const card = await cardOf(format);
      const told = [model.sha256, adapter, command, 'rank 3, alpha 6', 'license: apache-2.0', sha256('rows')];
      const trained = ['12 sequences', '4.500', '2.250', '`--rank 3 --steps 7 --lr 0.01`'];
      for (const part of [...told, ...trained, ...parts])
        expect([format, card.includes(part) || part]).toEqual([format, true]);
      expect(card).not.toContain(root);
    }
  });

  it('says nothing of a training that made another adapter, and nothing of an adapter where there is none', async () => {
    const model = await openModel(tiny);
    await putAdapter(model);
    const record = {
      adapter: sha256('another'),
      model: model.sha256,
      data: sha256('rows'),
      options: {},
      examples: 1,
      firstLoss: 1,
      lastLoss: 1,
    };
    await saveTrainingRecord(at('adapter'), record);
    await write(model, 'peft');
    expect(await cardOf('peft')).not.toContain('Training');
    await writeFile(join(at('adapter'), 'training.json'), '{');
    await write(model, 'peft');
    expect(await cardOf('peft')).not.toContain('Training');
    await write(model, 'gguf', { adapter: undefined });
    const card = await cardOf('gguf');
    expect(card).not.toMatch(/LoRA|fine-tuned|on what text/);
  });

  it('finds the licence that a GGUF states, and takes nothing else for one', async () => {
    for (const [stated, found] of [
      ['mit', true],
      ['mit\n# Heading', false],
    ] as const) {
      await writeFile(
        at('base.gguf'),
        tinyLlama({ metadata: { 'general.license': { type: 'string', value: stated } } }),
      );
      const model = await openModel(at('base.gguf'), { cacheDir: at('cache') });
      await write(model, 'gguf', { adapter: undefined });
      expect((await cardOf('gguf')).includes('license: mit')).toBe(found);
    }
  });
});
