import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadAdapter, openModel, train, trainBpe, toTokenizerJson } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

// The folders are transformers' own, config.json included; trainer/test/families.test.ts compares every gradient.
const families = ['llama', 'mistral', 'qwen2', 'qwen3', 'smollm3'];
const lossTolerance = 1e-4;
/** Of the way that training moved the adapter: AdamW's first steps blow up the rounding of small gradients. */
const movementTolerance = 2e-2;

const specialTokens = ['<|endoftext|>'];
const tokenizerJson = JSON.stringify(toTokenizerJson(trainBpe([], { vocabSize: 257, specialTokens }), specialTokens));

const python = findPython(['torch', 'transformers', 'peft']);
const reference = z.object({ row: z.array(z.int()), losses: z.record(z.string(), z.array(z.number())) });

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] ?? Number.NaN)) ** 2, 0));

describe.skipIf(skips('conformance', { 'Python with torch, transformers and peft': python }))(
  'a family that transformers saved and PEFT trained',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-families-'));
    let expected: z.infer<typeof reference>;

    beforeAll(() => {
      const script = fileURLToPath(new URL('families.py', import.meta.url));
      const run = spawnSync(python ?? '', [script, folder], { encoding: 'utf8' });
      if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
      expected = reference.parse(JSON.parse(run.stdout));
    }, 300_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    it.each(families)('%s has the same losses and moves its adapter the same way', async (family) => {
      const place = join(folder, family);
      writeFileSync(join(place, 'tokenizer.json'), tokenizerJson);
      const model = await openModel(place);
      expect(model.config.family).toBe(family);
      const initial = await loadAdapter(join(place, 'initial'), model);
      const theirs = await loadAdapter(join(place, 'final'), model);
      const row = Int32Array.from(expected.row);
      const steps = train({
        model,
        layout: initial.layout,
        adapter: initial.adapter,
        examples: [{ inputIds: row, labels: row }],
        steps: expected.losses[family]?.length ?? 0,
        batchSize: 1,
        sequenceLength: row.length,
        learningRate: 1e-3,
        weightDecay: 0,
        shuffle: false,
        device: 'cpu',
      });
      const losses: number[] = [];
      let step = await steps.next();
      for (; !step.done; step = await steps.next()) losses.push(step.value.loss);
      const apart = losses.map((loss, i) => Math.abs(loss - (expected.losses[family]?.[i] ?? Number.NaN)));
      expect(losses).toHaveLength(4);
      expect(Math.max(...apart)).toBeLessThan(lossTolerance);
      const moved = distance(theirs.adapter, initial.adapter);
      expect(moved).toBeGreaterThan(0);
      expect(distance(step.value.adapter, theirs.adapter) / moved).toBeLessThan(movementTolerance);
    });
  },
);
