import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { exportAdapter, initAdapter, openModel, saveAdapter } from '@weft/trainer';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runProgram } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['transformers', 'torch', 'onnx', 'onnxruntime']);
const script = fileURLToPath(new URL('export_onnx.py', import.meta.url));
const base = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const tokens = 24;

const found = z.object({
  apart: z.number(),
  made: z.array(z.array(z.int())),
  expected: z.array(z.array(z.int())),
  inputs: z.array(z.string()),
  domains: z.array(z.string()),
  embedded: z.int(),
  metadata: z.record(z.string(), z.string()),
  layers: z.int(),
  text: z.string(),
});

describe.skipIf(skips('conformance', { 'Python with transformers, onnx and onnxruntime': python }))('ONNX', () => {
  test('that was exported passes the checker; onnxruntime computes what transformers does, in a batch and with its cache', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-export-onnx-'));
    const at = (name: string): string => join(folder, name);
    try {
      const model = await openModel(base);
      const layout = createAdapterLayout(model.config, { rank: 4, alpha: 8, targets: loraTargets });
      // B as large as A: the adapter must change the logits
      const adapter = initAdapter(layout, 1).map((value, i) => (value === 0 ? Math.sin(i) / 20 : value));
      await saveAdapter(at('adapter'), model, { layout, adapter });
      const written = { model, adapter: at('adapter'), command: 'weft export' };
      await exportAdapter({ ...written, format: 'safetensors', out: at('merged') });
      const { adapterSha256 } = await exportAdapter({ ...written, format: 'onnx', out: at('onnx') });
      const prompts = ['The river', 'Rzeka płynie przez las', 'a'].map((text) => model.tokenizer.encode(text));
      await writeFile(at('prompts.json'), JSON.stringify(prompts));

      const args = [script, at('onnx'), at('merged'), at('prompts.json'), `${tokens}`];
      const run = await runProgram(python as string, args, { env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' } });
      if (run.status !== 0) throw new Error(run.stderr);
      const { apart, made, expected, ...rest } = found.parse(JSON.parse(run.stdout));
      expect(apart).toBeLessThan(1e-4);
      expect(made).toEqual(expected);
      const { embedded, ...described } = rest;
      // shapes and axes; the weights are in the file beside
      expect(embedded).toBeLessThan(4096);
      expect(described).toEqual({
        inputs: ['input_ids', 'attention_mask', 'position_ids', 'past_key_values.0.key'],
        domains: [''],
        metadata: { 'weft.base_sha256': model.sha256, 'weft.adapter_sha256': adapterSha256 },
        layers: model.config.layers,
        text: 'The river',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});
