import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Decoder, openModel, readTensor } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

/** By the names that gguf_files.py gives its files. */
const architectures = [
  'llama',
  'llama3-scaled',
  'llama-linear',
  'mistral',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
  'smollm3',
  'gemma3',
];
const logitTolerance = 1e-4;
/** Longer than the windows and half-way into the context: every way of telling positions apart is in use. */
const ids = Array.from({ length: 96 }, (_, i) => (17 * i * i + 5 * i + 3) % 250);

const python = findPython(['torch', 'transformers', 'gguf']);
const reference = z.object({ tensors: z.record(z.string(), z.string()), logits: z.array(z.number()) });

describe.skipIf(skips('conformance', { 'Python with torch, transformers and gguf': python }))(
  'a GGUF that the package gguf wrote and transformers read',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-gguf-'));
    let written: unknown;

    beforeAll(() => {
      const script = fileURLToPath(new URL('gguf_files.py', import.meta.url));
      const run = spawnSync(python ?? '', [script, folder, ids.join(',')], { encoding: 'utf8' });
      if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
      written = JSON.parse(run.stdout);
    }, 300_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    it('is there for each architecture', () => expect(written).toEqual(architectures));

    it.each(architectures)(
      '%s has the same names, the same bits in every tensor, and the same logits',
      async (name) => {
        const theirs = reference.parse(JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')));
        const model = await openModel(join(folder, `${name}.gguf`), { cacheDir: join(folder, 'cache') });
        const hashes: Record<string, string> = {};
        for (const ref of model.tensors.values()) {
          const values = await readTensor(ref);
          hashes[ref.name] = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
        }
        expect(hashes).toEqual(theirs.tensors);
        await using decoder = await Decoder.open({ model, device: 'cpu', threads: 1 });
        const logits = await decoder.logits(ids);
        expect(logits).toHaveLength(theirs.logits.length);
        expect(Math.max(...theirs.logits.map(Math.abs))).toBeGreaterThan(0.1);
        expect(Math.max(...logits.map((logit, i) => Math.abs(logit - (theirs.logits[i] ?? Number.NaN))))).toBeLessThan(
          logitTolerance,
        );
      },
    );
  },
);
