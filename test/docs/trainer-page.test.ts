import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { loadAdapter, openModel, trainDefaults } from '@weft/trainer';
import { afterAll, expect, it } from 'vitest';
import { runProgram } from '../run-weft.ts';
import { fencedBlocks } from './fenced-blocks.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = join(root, 'trainer/examples');
const page = readFileSync(join(root, 'docs/trainer.md'), 'utf8');
const model = join(root, 'models/weft-tiny-llama');
const text = join(root, 'CONTRIBUTING.md');
const folder = mkdtempSync(join(tmpdir(), 'weft-trainer-page-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

/** The program's standard output; the page shows the program as it is. */
async function runShown(heading: string, name: string, ...args: string[]): Promise<string> {
  const file = join(examples, name);
  expect(fencedBlocks(page, heading, 'ts')).toEqual([readFileSync(file, 'utf8')]);
  const { status, stdout, stderr } = await runProgram(process.execPath, [file, ...args], { env: process.env });
  expect(status, stderr).toBe(0);
  return stdout;
}

it('shows every example', () => {
  const shown = ['fine-tune.ts', 'use-adapter.ts', 'resume.ts'];
  expect(
    readdirSync(examples)
      .filter((name) => name.endsWith('.ts'))
      .toSorted(),
  ).toEqual(shown.toSorted());
});

it('shows a program that leaves an adapter which has learnt, and one that uses it', async () => {
  const trained = await runShown('From a model and a text to an adapter', 'fine-tune.ts', model, text, at('adapter'));
  const losses = [...trained.matchAll(/loss (\d+\.\d+)/g)].map((match) => Number(match[1]));
  expect(losses).toHaveLength(21);
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
  expect(await loadAdapter(at('adapter'), await openModel(model))).toMatchObject({ base: 'same', layout: { rank: 8 } });

  const args = [model, at('adapter'), 'A test must', at('merged')];
  expect((await runShown('An adapter in use', 'use-adapter.ts', ...args)).trim()).not.toBe('');
  expect((await openModel(at('merged'))).config).toEqual((await openModel(model)).config);
});

it('shows a program that goes on from a snapshot with the same losses', async () => {
  const stdout = await runShown('Going on after an interruption', 'resume.ts', model, text);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(9);
  expect(lines.slice(6)).toEqual(lines.slice(3, 6));
});

it('states the defaults', () => {
  const { rank, alpha, targets, batchSize, learningRate, epochs } = trainDefaults;
  for (const row of [
    `| \`lora.rank\`, \`lora.alpha\` | ${rank}, ${alpha} |`,
    `| \`lora.targets\` | ${targets.join(', ')} |`,
    `| \`steps\`, or \`epochs\` | ${epochs} epoch |`,
    `| \`batchSize\` | ${batchSize} |`,
    `| \`learningRate\`, \`schedule\`, \`warmupSteps\` | ${learningRate}, constant, 0 |`,
  ])
    expect(page).toContain(row);
});
