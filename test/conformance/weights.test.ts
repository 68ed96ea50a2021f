import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel } from '@weft/trainer';
import { describe, expect, test } from 'vitest';
import { findGguf, findPython, skips } from './python.ts';

const python = findPython(['transformers', 'torch', 'gguf', 'safetensors']);
const gguf = findGguf();

describe.skipIf(skips('conformance', { python, gguf }))('against transformers', () => {
  test('every tensor of the unpacked GGUF has the same name and the same bits', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-weights-'));
    try {
      const model = await openModel(gguf as string, { cacheDir: folder });
      const unpacked = model.tensors.get('model.norm.weight')?.file as string;
      const script = fileURLToPath(new URL('weights.py', import.meta.url));
      const run = spawnSync(python as string, [script, gguf as string, unpacked], { encoding: 'utf8' });
      if (run.status !== 0) throw new Error(run.stderr);
      expect(JSON.parse(run.stdout)).toEqual({ tensors: model.tensors.size, different: [] });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});
