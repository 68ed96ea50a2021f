import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Base, Decoder, openModel } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runProgram } from '../run-weft.ts';
import { findGguf, findPython, skips } from './python.ts';

const gguf = findGguf() ?? '';
const python = findPython(['llama_cpp']);
const license = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8');
const answersOf = z.array(z.array(z.number()));
const prompts = [
  'The capital of France is',
  'Once upon a time, there was a little girl who',
  'def fibonacci(n):\n    if n < 2:\n        return n\n    return',
  'Water boils at 100 degrees',
  '<|im_start|>user\nWhat is a loom?<|im_end|>\n<|im_start|>assistant\n',
  'To be, or not to be, that is the',
];

const likeliest = (logits: ArrayLike<number>): number =>
  Array.from(logits).reduce((best, logit, id) => (logit > (logits[best] ?? 0) ? id : best), 0);

/** Root mean square of the difference, over the deviation of the second. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const values = Array.from(b);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(values.reduce((sum, value, id) => sum + (value - (a[id] ?? Number.NaN)) ** 2, 0) / spread);
}

describe.skipIf(skips('conformance', { 'a SmolLM2 GGUF': findGguf(), 'Python with llama_cpp': python }))(
  "a GGUF's own blocks",
  () => {
    let cacheDir: string;
    beforeAll(() => {
      cacheDir = mkdtempSync(join(tmpdir(), 'weft-conformance-'));
    });
    afterAll(() => rmSync(cacheDir, { recursive: true }));

    async function logitsOf(base: Base, ids: readonly (readonly number[])[]): Promise<Float32Array[]> {
      await using decoder = await Decoder.open({ model: await openModel(gguf, { base, cacheDir }) });
      const logits: Float32Array[] = [];
      for (const prompt of ids) logits.push(await decoder.logits(prompt));
      return logits;
    }

    test("give the float32 logits about as nearly as llama.cpp does, and llama.cpp's next tokens", async () => {
      const { tokenizer } = await openModel(gguf, { base: 'auto', cacheDir });
      const pieces = Array.from({ length: 18 }, (_, piece) =>
        license.slice(piece * 400, piece * 400 + 12 + piece * 15),
      );
      const ids = [...prompts, ...pieces].map((text) => tokenizer.encode(text));
      const script = fileURLToPath(new URL('logits_by_llama_cpp.py', import.meta.url));
      const answer = await runProgram(python ?? '', [script, gguf, JSON.stringify(ids)], { env: process.env });
      expect(answer.status, answer.stderr).toBe(0);
      const theirs = answersOf.parse(JSON.parse(answer.stdout));
      const [ours, exact] = [await logitsOf('auto', ids), await logitsOf('fp32', ids)];
      const mean = (all: readonly ArrayLike<number>[]): number =>
        all.reduce((sum, logits, index) => sum + distance(logits, exact[index] ?? []), 0) / all.length;
      // Both round what they multiply with to eight bits; which of two roundings ends nearer is chance, prompt by prompt.
      expect(mean(ours)).toBeLessThan(0.15);
      expect(mean(ours)).toBeLessThan(1.25 * mean(theirs));
      const next = (all: readonly ArrayLike<number>[]): number[] => all.slice(0, prompts.length).map(likeliest);
      expect(next(ours)).toEqual(next(theirs));
      expect(next(ours)).toEqual(next(exact));
    }, 120_000);
  },
);
