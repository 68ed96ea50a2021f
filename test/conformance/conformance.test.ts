import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readTensors } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runProgram, runWeft } from '../run-weft.ts';
import { findGguf, findPython, skips } from './python.ts';

// PyTorch, transformers and PEFT train the same model from the same GGUF, the same initial adapter and the same batches.
// Two PyTorch runs with other kernels differ by 3e-7 in the losses and by 7e-4 in the tensors.
const lossTolerance = 1e-3;
const tensorTolerance = 1e-2;

const timeoutMs = 600_000;
const steps = 20;
const scoredRows = 16;
const training = [
  '--batch',
  '2',
  '--seq',
  '64',
  '--lr',
  '1e-3',
  '--weight-decay',
  '0.01',
  '--warmup',
  '4',
  '--clip-grad',
  '1',
];
const targets = 'q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj';

const python = findPython(['torch', 'transformers', 'peft', 'gguf']);
const gguf = findGguf();
const script = fileURLToPath(new URL('train_with_peft.py', import.meta.url));
const text = fileURLToPath(new URL('../../LICENSE', import.meta.url));

const lossLine = z.object({ loss: z.number() });
const scoreLine = z.object({ loss: z.number(), tokens: z.number() });

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const difference = (a: Float32Array, b: Float32Array): Float32Array =>
  a.map((value, index) => value - (b[index] ?? Number.NaN));
const relative = (ours: number, theirs: number): number => Math.abs(ours - theirs) / Math.abs(theirs);

const adapterIn = async (folder: string) => (await readTensors(join(folder, 'adapter_model.safetensors'))).tensors;

describe.skipIf(
  skips('conformance', { 'Python with torch, transformers, peft and gguf': python, 'a SmolLM2-135M GGUF': gguf }),
)('PyTorch with PEFT', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-conformance-'));
  const ours = join(folder, 'ours');
  const rows = join(folder, 'rows.jsonl');
  // threads that wait by spinning would take the cores from the tests beside this one
  const env = { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' };
  const witness = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await runProgram(
      python ?? '',
      [script, ...args, '--gguf', gguf ?? '', '--folder', folder],
      { env },
    );
    if (status !== 0) throw new Error(`${script} ended with ${status}:\n${stderr.slice(-4000)}`);
    return stdout;
  };
  let losses: number[] = [];

  beforeAll(async () => {
    await witness(
      'train',
      '--text',
      text,
      '--steps',
      String(steps),
      '--rank',
      '8',
      '--alpha',
      '16',
      '--targets',
      targets,
      ...training,
    );
    const flags = [
      '--model',
      gguf ?? '',
      '--data',
      rows,
      '--out',
      ours,
      '--init-adapter',
      join(folder, 'initial'),
      '--no-shuffle',
    ];
    const { status, stdout, stderr } = await runWeft([
      'train',
      ...flags,
      '--steps',
      String(steps),
      '--schedule',
      'cosine',
      '--json',
      ...training,
    ]);
    if (status !== 0) throw new Error(stderr);
    losses = stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith('{"step"'))
      .map((line) => lossLine.parse(JSON.parse(line)).loss);
  }, timeoutMs);
  afterAll(() => rmSync(folder, { recursive: true }));

  it(`has the same loss in each of ${steps} steps`, () => {
    const theirs = z
      .object({ losses: z.array(z.number()) })
      .parse(JSON.parse(readFileSync(join(folder, 'losses.json'), 'utf8')));
    const differences = theirs.losses.map((loss, step) => relative(losses[step] ?? Number.NaN, loss));
    process.stdout.write(
      `losses: worst relative difference ${Math.max(...differences).toExponential(2)} of ${steps} steps\n`,
    );
    expect(losses).toHaveLength(steps);
    for (const value of differences) expect(value).toBeLessThan(lossTolerance);
  });

  it('ends with the same adapter, tensor by tensor, and moved it the same way', async () => {
    const [initial, theirs, mine] = await Promise.all(
      [join(folder, 'initial'), join(folder, 'final'), ours].map((place) => adapterIn(place)),
    );
    expect([...(mine?.keys() ?? [])].sort()).toEqual([...(theirs?.keys() ?? [])].sort());
    let worst = 0;
    let moved = 0;
    for (const [name, their] of theirs ?? []) {
      const our = mine?.get(name);
      expect(our?.shape).toEqual(their.shape);
      const apart = norm(difference(our?.values ?? new Float32Array(), their.values));
      const distance = norm(difference(their.values, initial?.get(name)?.values ?? new Float32Array()));
      expect(distance, `${name} was not trained`).toBeGreaterThan(0);
      worst = Math.max(worst, apart / norm(their.values));
      moved = Math.max(moved, apart / distance);
    }
    process.stdout.write(
      `adapter: worst relative L2 of ${theirs?.size} tensors ${worst.toExponential(2)}; of the movement ${moved.toExponential(2)}\n`,
    );
    expect(worst).toBeLessThan(tensorTolerance);
  });

  it(
    'loads our adapter with PEFT and finds our loss',
    async () => {
      const scored = join(folder, 'scored.jsonl');
      writeFileSync(scored, readFileSync(rows, 'utf8').split('\n').slice(0, scoredRows).join('\n'));
      const theirs = scoreLine.parse(JSON.parse(await witness('score', '--adapter', ours, '--rows', scored)));
      const flags = ['--model', gguf ?? '', '--adapter', ours, '--data', scored, '--seq', '64', '--json'];
      const { status, stdout, stderr } = await runWeft(['eval', ...flags]);
      expect(stderr).not.toContain('WEFT_');
      expect(status).toBe(0);
      const mine = scoreLine.parse(JSON.parse(stdout));
      process.stdout.write(`loss of our adapter: ${mine.loss} here, ${theirs.loss} with PEFT\n`);
      expect(mine.tokens).toBe(theirs.tokens);
      expect(relative(mine.loss, theirs.loss)).toBeLessThan(lossTolerance);
    },
    timeoutMs,
  );
});
