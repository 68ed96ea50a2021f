import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { evaluate, exportAdapter, initAdapter, openModel, saveAdapter } from '@weft/trainer';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runProgram } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['transformers', 'torch', 'gguf', 'safetensors']);
const script = fileURLToPath(new URL('export.py', import.meta.url));
const base = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));

const found = z.object({
  dtype: z.string(),
  loss: z.number(),
  text: z.string(),
  general: z.array(z.string()),
  alpha: z.number(),
  different: z.array(z.string()),
  foreign: z.array(z.string()),
});

describe.skipIf(skips('conformance', { python }))('what was exported', () => {
  test('transformers scores the merged folder as we score base and adapter, gguf reads the same factors', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-export-'));
    const at = (name: string): string => join(folder, name);
    try {
      const model = await openModel(base);
      const layout = createAdapterLayout(model.config, { rank: 4, alpha: 12, targets: loraTargets });
      // B as large as A: the adapter must change the loss
      const adapter = initAdapter(layout, 1).map((value, i) => (value === 0 ? Math.sin(i) / 5 : value));
      await saveAdapter(at('adapter'), model, { layout, adapter });
      const written = { model, adapter: at('adapter'), command: 'weft export' };
      await exportAdapter({ ...written, format: 'safetensors', out: at('merged') });
      await exportAdapter({ ...written, format: 'gguf-lora', out: at('adapter.gguf') });
      const rows = [0, 1, 2].map((row) => Array.from({ length: 30 + row }, (_, i) => (i * 131 + row * 17 + 3) % 2000));
      await writeFile(at('rows.json'), JSON.stringify(rows));

      const { heads, kvHeads } = model.config;
      const run = await runProgram(
        python as string,
        [script, at('merged'), at('rows.json'), at('adapter'), at('adapter.gguf'), `${heads}`, `${kvHeads}`],
        { env: process.env },
      );
      if (run.status !== 0) throw new Error(run.stderr);
      const { loss, text, ...rest } = found.parse(JSON.parse(run.stdout));
      expect(rest).toEqual({
        dtype: 'torch.float32',
        general: ['adapter', 'lora', 'llama'],
        alpha: 12,
        different: [],
        foreign: [],
      });
      expect(text).toBe(model.tokenizer.decode(rows[0] ?? []));
      const examples = rows.map((row) => ({ inputIds: Int32Array.from(row), labels: Int32Array.from(row) }));
      const ours = await evaluate({ model, layout, adapter, examples, device: 'cpu' });
      const bare = await evaluate({ model, examples, device: 'cpu' });
      expect(Math.abs(ours.lossSum / ours.tokens - loss) / loss).toBeLessThan(1e-5);
      expect(Math.abs(bare.lossSum / bare.tokens - loss) / loss).toBeGreaterThan(1e-2);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});
