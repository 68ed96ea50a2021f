import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  evaluate,
  exportAdapter,
  generate,
  loadAdapter,
  type Model,
  openModel,
  parseConfigJson,
  saveAdapter,
  toTokenizerJson,
  train,
  trainBpe,
  weightShapes,
} from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

// The folders are transformers' own, config.json included; trainer/test/families.test.ts compares every gradient.
const families = ['llama', 'mistral', 'qwen2', 'qwen3', 'smollm3', 'gemma3_text'];
/** config.json as published, by the model's name. */
const published = JSON.parse(readFileSync(new URL('published-configs.json', import.meta.url), 'utf8')) as Record<
  string,
  { model_type: string }
>;
const lossTolerance = 1e-4;
/** Of the way that training moved the adapter: AdamW's first steps blow up the rounding of small gradients. */
const movementTolerance = 2e-2;

const specialTokens = ['<|endoftext|>'];
const tokenizerJson = JSON.stringify(toTokenizerJson(trainBpe([], { vocabSize: 257, specialTokens }), specialTokens));

const python = findPython(['torch', 'transformers', 'peft']);
const reference = z.object({
  row: z.array(z.int()),
  cases: z.record(z.string(), z.object({ losses: z.array(z.number()), continuation: z.array(z.int()) })),
  shapes: z.record(z.string(), z.record(z.string(), z.array(z.int()))),
});

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] ?? Number.NaN)) ** 2, 0));

describe.skipIf(skips('conformance', { 'Python with torch, transformers and peft': python }))(
  'a family that transformers saved and PEFT trained',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-families-'));
    let expected: z.infer<typeof reference>;
    const witness = (...args: string[]): unknown => {
      const script = fileURLToPath(new URL('families.py', import.meta.url));
      const run = spawnSync(python ?? '', [script, ...args], { encoding: 'utf8' });
      if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
      return JSON.parse(run.stdout);
    };

    beforeAll(() => {
      expected = reference.parse(witness(folder));
    }, 300_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    const cases = [
      ...families.map((name) => [name, name] as const),
      ...Object.entries(published).map(([name, { model_type: family }]) => [name, family] as const),
    ];
    const openCase = async (name: string): Promise<Model> => {
      writeFileSync(join(folder, name, 'tokenizer.json'), tokenizerJson);
      return openModel(join(folder, name));
    };

    it.each(Object.entries(published))('%s has the weights that transformers gives it', (name, config) => {
      const shapes = weightShapes(parseConfigJson(JSON.stringify(config)).config);
      expect(Object.fromEntries(shapes)).toEqual(expected.shapes[name]);
    });

    it.each(cases)('%s is continued by the same tokens', async (name) => {
      const model = await openCase(name);
      const { continuation } = expected.cases[name] ?? { continuation: [] };
      const made: number[] = [];
      const maxTokens = continuation.length;
      for await (const id of generate({ model, promptIds: expected.row, maxTokens, device: 'cpu' })) made.push(id);
      expect(made).toEqual(continuation);
      expect(made.length).toBeGreaterThan(0);
    });

    it.each(cases)('%s has the same losses and moves its adapter the same way', async (name, family) => {
      const place = join(folder, name);
      const model = await openCase(name);
      expect(model.config.family).toBe(family);
      const { losses: theirLosses } = expected.cases[name] ?? { losses: [] };
      const initial = await loadAdapter(join(place, 'initial'), model);
      const theirs = await loadAdapter(join(place, 'final'), model);
      const row = Int32Array.from(expected.row);
      const steps = train({
        model,
        layout: initial.layout,
        adapter: initial.adapter,
        examples: [{ inputIds: row, labels: row }],
        steps: theirLosses.length,
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
      const apart = losses.map((loss, i) => Math.abs(loss - (theirLosses[i] ?? Number.NaN)));
      expect(losses).toHaveLength(4);
      expect(Math.max(...apart)).toBeLessThan(lossTolerance);
      const moved = distance(theirs.adapter, initial.adapter);
      expect(moved).toBeGreaterThan(0);
      expect(distance(step.value.adapter, theirs.adapter) / moved).toBeLessThan(movementTolerance);
    });

    it('what was written here loads with PEFT and, merged, with transformers, and has the same loss', async () => {
      const ours: Record<string, number> = {};
      const labels = Int32Array.from(expected.row);
      for (const [name] of cases) {
        const model = await openCase(name);
        const { layout, adapter } = await loadAdapter(join(folder, name, 'final'), model);
        await saveAdapter(join(folder, name, 'ours'), model, { layout, adapter });
        const from = { model, adapter: join(folder, name, 'ours'), command: 'weft export' };
        await exportAdapter({ ...from, format: 'safetensors', out: join(folder, name, 'merged') });
        const examples = [{ inputIds: labels, labels }];
        const { lossSum, tokens } = await evaluate({ model, layout, adapter, examples, device: 'cpu' });
        ours[name] = lossSum / tokens;
      }
      const theirs = z.record(z.string(), z.array(z.number())).parse(witness('--score', folder));
      for (const [name, loss] of Object.entries(ours)) {
        const [adapted = Number.NaN, merged = Number.NaN] = theirs[name] ?? [];
        expect([name, Math.max(Math.abs(loss - adapted), Math.abs(loss - merged)) < lossTolerance]).toEqual([
          name,
          true,
        ]);
      }
    }, 300_000);
  },
);
