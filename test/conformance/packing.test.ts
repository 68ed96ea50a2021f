import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Example, loadAdapter, openModel, packExamples, toTokenizerJson, train, trainBpe } from '@weft/trainer';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

const lossTolerance = 1e-5;
/** Of the way that training moved the adapter: AdamW's first steps blow up the rounding of small gradients. */
const movementTolerance = 2e-2;
const sequenceLength = 32;

const python = findPython(['torch', 'transformers', 'peft']);
const script = fileURLToPath(new URL('packing.py', import.meta.url));
const specialTokens = ['<|endoftext|>'];

const examples = [9, 4, 17, 6, 12, 3, 10].map((length, index): Example => {
  const inputIds = Int32Array.from({ length }, (_, i) => (17 * i * i + 5 * i + 31 * index + 3) % 250);
  return { inputIds, labels: inputIds.map((id, i) => (length > 8 && i < 4 ? -100 : id)) };
});

const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((x, i) => x - (b[i] ?? Number.NaN)));

describe.skipIf(skips('conformance', { 'Python with torch, transformers and peft': python }))('packed rows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-packing-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('train as in PyTorch with position_ids and a block mask', async () => {
    const rows = packExamples(examples, sequenceLength);
    expect(rows.map(({ segmentLengths = [] }) => segmentLengths.length).toSorted((a, b) => a - b)).not.toContain(1);
    const input = rows.map((row) => ({ ...row, inputIds: [...row.inputIds], labels: [...row.labels] }));
    const run = spawnSync(python ?? '', [script, folder], { encoding: 'utf8', input: JSON.stringify(input) });
    if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
    const expected = z.array(z.number()).parse(JSON.parse(run.stdout));

    const place = join(folder, 'model');
    const tokenizer = toTokenizerJson(trainBpe([], { vocabSize: 257, specialTokens }), specialTokens);
    writeFileSync(join(place, 'tokenizer.json'), JSON.stringify(tokenizer));
    const model = await openModel(place);
    const initial = await loadAdapter(join(folder, 'initial'), model);
    const theirs = await loadAdapter(join(folder, 'final'), model);
    const training = train({
      model,
      ...initial,
      examples: rows,
      steps: expected.length,
      batchSize: rows.length,
      sequenceLength,
      learningRate: 1e-3,
      weightDecay: 0,
      shuffle: false,
      device: 'cpu',
    });
    const losses: number[] = [];
    for await (const { loss } of training) losses.push(loss);
    expect(losses).toHaveLength(4);
    for (const [step, loss] of expected.entries())
      expect(Math.abs((losses[step] ?? Number.NaN) - loss) / loss, `step ${step + 1}`).toBeLessThan(lossTolerance);
    const moved = distance(theirs.adapter, initial.adapter);
    expect(moved).toBeGreaterThan(0);
    expect(distance(training.trained.adapter, theirs.adapter) / moved).toBeLessThan(movementTolerance);
  }, 300_000);
});
