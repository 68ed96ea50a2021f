import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { exportAdapter, initAdapter, openModel, saveAdapter } from '@weft/trainer';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['transformers', 'gguf', 'safetensors']);
const script = fileURLToPath(new URL('export_gguf.py', import.meta.url));
const base = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));

describe.skipIf(skips('conformance', { 'Python with transformers, gguf and safetensors': python }))('GGUF', () => {
  test('that was exported holds the bytes that the gguf package makes of the merged weights', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-export-gguf-'));
    const at = (name: string): string => join(folder, name);
    try {
      const model = await openModel(base);
      const layout = createAdapterLayout(model.config, { rank: 4, alpha: 8, targets: loraTargets });
      const adapter = initAdapter(layout, 1).map((value, i) => (value === 0 ? Math.sin(i) / 20 : value));
      await saveAdapter(at('adapter'), model, { layout, adapter });
      const written = { model, adapter: at('adapter'), command: 'weft export' };
      await exportAdapter({ ...written, format: 'safetensors', out: at('merged') });
      const dtypes = ['f32', 'f16', 'q8_0'] as const;
      for (const dtype of dtypes) await exportAdapter({ ...written, format: 'gguf', dtype, out: at(`${dtype}.gguf`) });

      const { heads, kvHeads } = model.config;
      const files = dtypes.map((dtype) => at(`${dtype}.gguf`));
      const run = await runProgram(python as string, [script, at('merged'), `${heads}`, `${kvHeads}`, ...files], {
        env: process.env,
      });
      if (run.status !== 0) throw new Error(run.stderr);
      expect(JSON.parse(run.stdout)).toEqual({
        tensors: model.tensors.size,
        types: [0, 1, 7],
        different: [],
        tokens: true,
        eos: true,
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});
