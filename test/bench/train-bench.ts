import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout, createSeededRandom } from '@weft/shared';
import { openModel, predictTrainingMemory } from '@weft/trainer';
import {
  type BenchCase,
  cases,
  clipGradNorm,
  isWeft,
  learningRate,
  lora,
  tokensOf,
  torchModes,
  type TorchMode,
  weftSubjects,
  type WeftSubject,
} from './cases.ts';
import { type LearningLosses, measureLearning } from './learning.ts';
import { flopsOf, flopsOfStep, frozenProducts } from './products.ts';
import { measureStart, type StartTimes } from './start-time.ts';
import { type PeakMemory, Subject } from './subject.ts';

export interface BenchOptions {
  readonly gguf: string;
  /** Without it the peers are left out, visibly. */
  readonly python: string | undefined;
  readonly threads: number;
  readonly cases: readonly BenchCase[];
  readonly quick: boolean;
  readonly report: (line: string) => void;
}

/** One subject's steps of one case, after its warm-up. */
export interface Measured {
  readonly work: string;
  readonly subject: string;
  readonly stepsMs: readonly number[];
  readonly firstLoss: number;
  /** From the start of the process to the end of its first step. */
  readonly startMs: number;
  readonly memory: PeakMemory;
}

export interface BenchRun {
  readonly measured: readonly Measured[];
  /** By case: what the step's products amount to, and what this machine's products reach alone. */
  readonly products: Readonly<Record<string, { readonly stepFlops: number; readonly flopsPerSecond: number }>>;
  readonly start: StartTimes;
  /** By case: the resident memory that the trainer foretells. */
  readonly predictedBytes: Readonly<Record<string, number>>;
  /** Left out where little time is to be taken. */
  readonly learning: LearningLosses | undefined;
  /** What was left out, and why. */
  readonly skipped: readonly string[];
}

const rowsInFile = 64;
/** The first steps fault in fresh memory, and compile where that was asked for. */
const warmUpSteps = 2;
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export async function measureTraining(options: BenchOptions): Promise<BenchRun> {
  const { gguf, python, threads, quick, report } = options;
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // the unpacked model is large: Ctrl-C leaves nothing either
  process.once('exit', remove);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1));
  const skipped: string[] = python === undefined ? ['PyTorch: no Python with torch, transformers, peft and gguf'] : [];
  const measured: Measured[] = [];
  const launched: Subject[] = [];
  const launch = (...args: ConstructorParameters<typeof Subject>): Subject => {
    const subject = new Subject(...args);
    launched.push(subject);
    return subject;
  };
  const predictedBytes: Record<string, number> = {};
  const products: Record<string, { stepFlops: number; flopsPerSecond: number }> = {};
  try {
    const cacheDir = join(folder, 'cache');
    const model = await openModel(gguf, { cacheDir });
    const { config } = model;
    const rowsOf = (work: BenchCase): string => writeRows(folder, work, config.vocabSize);
    const start = await measureStart({ gguf, threads, rows: rowsOf(cases[0]), work: cases[0], folder, quick });
    for (const work of options.cases) {
      const layout = createAdapterLayout(config, { ...lora, targets: work.targets });
      predictedBytes[work.name] = predictTrainingMemory({ model, layout, ...work }).residentBytes;
      const args = [gguf, cacheDir, rowsOf(work), work.name, String(threads)];
      const waiting = [
        ...subjectsFor(work, quick).map(
          (name) => () => launch(name, process.execPath, [here('weft-subject.ts'), ...args, weftSubjects[name]]),
        ),
        ...modesFor(work, options).map(
          (mode) => () => launch(...torchSubject(mode, work, rowsOf(work), options, folder)),
        ),
        () => launch('products', process.execPath, [here('product-subject.ts'), ...args]),
      ];
      const taking = await startAll(waiting, work.name, skipped, report);
      const burst = quick ? 1 : Math.max(1, Math.round((4 * tokensOf(cases[0])) / tokensOf(work)));
      await takeTurns(taking, quick ? 3 : 6, burst, (round) => report(`${work.name}: round ${round}`));
      for (const { subject, startMs, firstLoss, steps } of taking) {
        await subject.end();
        if (subject.name === 'products') {
          const flops = frozenProducts(config, work).reduce((sum, product) => sum + flopsOf(product), 0);
          const rate = (1000 * flops) / median(steps.values);
          products[work.name] = { stepFlops: flopsOfStep(config, work), flopsPerSecond: rate };
          continue;
        }
        const memory = subject.peakMemory();
        measured.push({ work: work.name, subject: subject.name, stepsMs: steps.ms, firstLoss, startMs, memory });
      }
    }
    const learning = quick ? undefined : await measureLearning({ gguf, cacheDir, folder, threads, report });
    return { measured, products, start, predictedBytes, learning, skipped };
  } finally {
    await Promise.all(launched.map((subject) => subject.end()));
    remove();
  }
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
};

/** The types that save memory are for the first case. */
const subjectsFor = (work: BenchCase, quick: boolean): readonly WeftSubject[] =>
  work.name === cases[0].name && !quick ? (Object.keys(weftSubjects) as WeftSubject[]) : ['weft', 'weft int8'];

/** Every mode in the first case, fp32 alone in the others; compiling takes minutes. */
function modesFor(work: BenchCase, { python, quick }: BenchOptions): readonly TorchMode[] {
  if (python === undefined) return [];
  if (work.name !== cases[0].name) return ['fp32'];
  return quick ? ['fp32', 'bf16-base'] : torchModes;
}

function torchSubject(
  mode: TorchMode,
  work: BenchCase,
  rows: string,
  { python = '', gguf, threads }: BenchOptions,
  folder: string,
): ConstructorParameters<typeof Subject> {
  const flags = {
    gguf,
    rows,
    mode,
    threads,
    targets: work.targets.join(','),
    batch: work.batchSize,
    rank: lora.rank,
    alpha: lora.alpha,
    lr: learningRate,
    'clip-grad': clipGradNorm,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  if (work.checkpointing) args.push('--checkpointing');
  const caches = {
    OMP_NUM_THREADS: String(threads),
    TORCHINDUCTOR_CACHE_DIR: join(folder, 'inductor'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return [mode, python, [here('torch_subject.py'), ...args], { ...process.env, ...caches }];
}

interface Turn {
  readonly subject: Subject;
  readonly startMs: number;
  readonly firstLoss: number;
  readonly steps: { readonly ms: number[]; readonly values: number[] };
}

/** Starts the subjects one after the other and warms each up; a peer that cannot run is left out. */
async function startAll(
  subjects: readonly (() => Subject)[],
  work: string,
  skipped: string[],
  report: BenchOptions['report'],
): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (const launch of subjects) {
    const spawned = performance.now();
    const subject = launch();
    try {
      await subject.ready();
      const first = await subject.run(1);
      const startMs = performance.now() - spawned;
      report(`${work}: ${subject.name} made its first step after ${(startMs / 1000).toFixed(1)} s`);
      await subject.run(warmUpSteps - 1);
      turns.push({ subject, startMs, firstLoss: first.values[0] ?? Number.NaN, steps: { ms: [], values: [] } });
    } catch (error) {
      if (isWeft(subject.name) || subject.name === 'products') throw error;
      const why = `${work}: PyTorch ${error instanceof Error ? error.message : String(error)}`;
      skipped.push(why);
      report(`left out: ${why}`);
    }
  }
  return turns;
}

/** A few steps each in turn, every round in the opposite order, so that load from outside meets all alike. */
async function takeTurns(turns: readonly Turn[], rounds: number, burst: number, report: (round: number) => void) {
  for (let round = 1; round <= rounds; round++) {
    report(round);
    for (const { subject, steps } of round % 2 === 0 ? turns.toReversed() : turns) {
      const { ms, values } = await subject.run(burst);
      steps.ms.push(...ms);
      steps.values.push(...values);
    }
  }
}

/** Random tokens, all counted, as many as fit: rows that cost every subject the same. */
export function writeRows(folder: string, { name, sequenceLength }: BenchCase, vocabSize: number): string {
  const random = createSeededRandom(`bench/${name}`);
  const row = (): number[] => Array.from({ length: sequenceLength }, () => Math.floor(random.uniform() * vocabSize));
  const file = join(folder, `${name}.jsonl`);
  const lines = Array.from({ length: rowsInFile }, () => `${JSON.stringify({ input_ids: row() })}\n`);
  writeFileSync(file, lines.join(''));
  return file;
}
