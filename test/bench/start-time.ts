import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BenchCase } from './cases.ts';

const weft = fileURLToPath(new URL('../../cli/bin/weft.mjs', import.meta.url));

/** Milliseconds from the start of `weft train` to its first step's line: empty and filled unpack cache, model in the page cache. */
export interface StartTimes {
  readonly emptyMs: readonly number[];
  readonly filledMs: readonly number[];
}

export interface StartOptions {
  readonly gguf: string;
  readonly threads: number;
  readonly rows: string;
  readonly work: BenchCase;
  readonly folder: string;
  readonly quick: boolean;
}

/** The command that a user types, its model in the page cache. */
export async function measureStart(options: StartOptions): Promise<StartTimes> {
  const [emptyMs, filledMs]: [number[], number[]] = [[], []];
  for (let repeat = 0; repeat < (options.quick ? 1 : 3); repeat++) {
    const cache = join(options.folder, `cache-of-start-${repeat}`);
    emptyMs.push(await firstStep(options, cache));
    filledMs.push(await firstStep(options, cache));
  }
  return { emptyMs, filledMs };
}

async function firstStep({ gguf, threads, rows, work, folder }: StartOptions, cache: string): Promise<number> {
  const flags = {
    model: gguf,
    data: rows,
    out: join(folder, 'adapter-of-start'),
    batch: work.batchSize,
    seq: work.sequenceLength,
    targets: work.targets.join(','),
    steps: 1,
    threads,
    cache,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const start = performance.now();
  const child = spawn(process.execPath, [weft, 'train', ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  let atMs = Number.NaN;
  for await (const line of createInterface({ input: child.stdout })) {
    if (Number.isNaN(atMs) && line.startsWith('{"step"')) atMs = performance.now() - start;
  }
  const status = await ended;
  if (status !== 0 || Number.isNaN(atMs)) throw new Error(`weft train ended with ${status}: ${said}`);
  return atMs;
}
