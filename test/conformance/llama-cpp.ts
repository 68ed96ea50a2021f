import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { AdapterLayout } from '@weft/shared';
import { continuePrompt, Decoder, type Model } from '@weft/trainer';
import { z } from 'zod';
import { runProgram } from '../run-weft.ts';

const script = fileURLToPath(new URL('run_llama_cpp.py', import.meta.url));

export interface LlamaCppJob {
  /** A GGUF file. */
  readonly model: string;
  /** An adapter as GGUF. */
  readonly lora?: string;
  readonly prompts?: readonly (readonly number[])[];
  /** How many to make after each prompt. */
  readonly tokens?: number;
  /** To be tokenised. */
  readonly lines?: readonly string[];
}

const answersOf = z.array(
  z.object({
    made: z.array(z.array(z.int())),
    logits: z.array(z.array(z.number())),
    ids: z.array(z.array(z.int())),
  }),
);

/** What llama.cpp makes of each job, with one thread and a cache in float32. */
export async function runLlamaCpp(python: string, folder: string, jobs: readonly LlamaCppJob[]) {
  const file = join(folder, 'jobs.json');
  await writeFile(file, JSON.stringify(jobs.map((job) => ({ prompts: [], tokens: 0, lines: [], ...job }))));
  const run = await runProgram(python, [script, file], { env: process.env });
  if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
  return answersOf.parse(JSON.parse(run.stdout));
}

interface Adapted {
  readonly layout: AdapterLayout;
  readonly adapter: Float32Array;
}

/** The same by Weft: tokens after each prompt, and the logits after its last token. */
export async function runWeftModel(
  model: Model,
  adapted: Adapted | undefined,
  prompts: readonly (readonly number[])[],
  tokens: number,
): Promise<{ made: number[][]; logits: number[][] }> {
  await using decoder = await Decoder.open({ model, ...adapted, threads: 1, device: 'cpu' });
  const [made, logits]: [number[][], number[][]] = [[], []];
  for (const promptIds of prompts) {
    logits.push([...(await decoder.logits(promptIds))]);
    const ids: number[] = [];
    if (tokens > 0) for await (const id of continuePrompt(decoder, { promptIds, maxTokens: tokens })) ids.push(id);
    made.push(ids);
  }
  return { made, logits };
}

export const largestDifference = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
