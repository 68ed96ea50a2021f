import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { openModel } from '@weft/trainer';
import { type Figure, figure } from '../figures.ts';
import { Subject } from '../subject.ts';
import { median } from '../train-bench.ts';
import { madeTokens, promptOf, promptTokens } from './turns.ts';

export interface GenerateBenchOptions {
  readonly gguf: string;
  /** With llama-cpp-python; without it the peer is left out, visibly. */
  readonly python: string | undefined;
  readonly threads: number;
  readonly quick: boolean;
  readonly report: (line: string) => void;
}

export interface Generated {
  readonly subject: string;
  /** From the start of the process to its first token. */
  readonly startMs: number;
  /** Of each turn: the prompt and the first token, and the tokens after it. */
  readonly promptMs: readonly number[];
  readonly makingMs: readonly number[];
  readonly residentBytes: number;
}

export interface GenerateRun {
  readonly measured: readonly Generated[];
  readonly skipped: readonly string[];
  /** The machine's load averages of a minute, before and after. */
  readonly load: readonly [number, number];
}

/** What generating is held to. */
const goals = { speed: { reach: 0.7, aim: 1 } } as const;
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export async function measureGenerating(options: GenerateBenchOptions): Promise<GenerateRun> {
  const { gguf, python, threads, quick, report } = options;
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1));
  const skipped = python === undefined ? ['llama.cpp: no Python with llama_cpp'] : [];
  const turns = quick ? 4 : 12;
  const before = loadavg()[0] ?? Number.NaN;
  const launched: Subject[] = [];
  try {
    const cacheDir = join(folder, 'cache');
    // fills the cache: a start is compared with one that reads its file as it is
    const { config } = await openModel(gguf, { cacheDir, base: 'auto' });
    const prompts = JSON.stringify(Array.from({ length: turns + 1 }, (_, turn) => promptOf(turn, config.vocabSize)));
    const starting = [
      (): Subject => new Subject('weft', process.execPath, [here('weft-subject.ts'), gguf, cacheDir, String(threads)]),
      ...(python === undefined
        ? []
        : [
            (): Subject =>
              new Subject('llama.cpp', python, [
                here('llama_cpp_subject.py'),
                gguf,
                String(threads),
                String(madeTokens),
                prompts,
              ]),
          ]),
    ];
    const taking = [];
    for (const start of starting) {
      const spawned = performance.now();
      const subject = start();
      launched.push(subject);
      await subject.ready();
      const startMs = performance.now() - spawned;
      report(`${subject.name} made its first token after ${(startMs / 1000).toFixed(2)} s`);
      await subject.run(1);
      taking.push({ subject, startMs, promptMs: [] as number[], makingMs: [] as number[] });
    }
    for (let turn = 1; turn <= turns; turn++) {
      report(`turn ${turn} of ${turns}`);
      for (const { subject, promptMs, makingMs } of turn % 2 === 0 ? taking.toReversed() : taking) {
        const { ms, values } = await subject.run(1);
        const making = values[0] ?? Number.NaN;
        promptMs.push((ms[0] ?? Number.NaN) - making);
        makingMs.push(making);
      }
    }
    const measured = taking.map(({ subject, startMs, promptMs, makingMs }) => {
      const { residentBytes } = subject.peakMemory();
      return { subject: subject.name, startMs, promptMs, makingMs, residentBytes };
    });
    return { measured, skipped, load: [before, loadavg()[0] ?? Number.NaN] };
  } finally {
    await Promise.all(launched.map((subject) => subject.end()));
    remove();
  }
}

const promptRate = (promptMs: number): number => (1000 * promptTokens) / promptMs;
const makingRate = (makingMs: number): number => (1000 * (madeTokens - 1)) / makingMs;

export function generatingFigures({ measured }: GenerateRun): Figure[] {
  const [ours, theirs] = ['weft', 'llama.cpp'].map((name) => measured.find(({ subject }) => subject === name));
  const ratio = (rate: (of: Generated, statistic: (values: readonly number[]) => number) => number) =>
    ours && theirs
      ? {
          value: rate(ours, median) / rate(theirs, median),
          best: rate(ours, (values) => Math.min(...values)) / rate(theirs, (values) => Math.min(...values)),
        }
      : {};
  return [
    figure({
      name: 'generated tokens/s ÷ llama.cpp',
      ...ratio(({ makingMs }, of) => makingRate(of(makingMs))),
      ...goals.speed,
    }),
    figure({
      name: 'prompt tokens/s ÷ llama.cpp',
      ...ratio(({ promptMs }, of) => promptRate(of(promptMs))),
      ...goals.speed,
    }),
    figure({ name: 'start to first token', value: ours && ours.startMs / 1000, unit: 's' }),
    figure({ name: 'start to first token, llama.cpp', value: theirs && theirs.startMs / 1000, unit: 's' }),
  ];
}

/** Every subject by itself. Absolute figures hold for this machine in this minute only. */
export function generatingRows({ measured }: GenerateRun): string[][] {
  const best = (values: readonly number[]): number => Math.min(...values);
  return [
    ['', 'generated/s', 'best', 'prompt/s', 'best', 'start s', 'peak MB'],
    ...measured.map(({ subject, promptMs, makingMs, startMs, residentBytes }) => [
      subject,
      makingRate(median(makingMs)).toFixed(1),
      makingRate(best(makingMs)).toFixed(1),
      promptRate(median(promptMs)).toFixed(0),
      promptRate(best(promptMs)).toFixed(0),
      (startMs / 1000).toFixed(2),
      residentBytes === 0 ? '' : (residentBytes / 1e6).toFixed(0),
    ]),
  ];
}
