import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { z } from 'zod';

const sampleEveryMs = 20;

/** What a subject answers to `STEPS\n` on its standard input: a time and a value (its loss) for each step. The first answer is `{}`. */
const answerLine = z.object({ ms: z.array(z.number()).default([]), values: z.array(z.number()).default([]) });
export type Answer = z.infer<typeof answerLine>;

export interface PeakMemory {
  /** VmHWM: the largest resident set of the process's life, pages of mapped files included. */
  readonly residentBytes: number;
  /** The largest RssAnon + RssShmem that was seen: without pages of files. */
  readonly withoutFilesBytes: number;
}

/** A process that has loaded a model and does as many steps as it is told to, and nothing in between. */
export class Subject {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #sampler: NodeJS.Timeout;
  readonly #ended: Promise<void>;
  #stderr = '';
  #peak: PeakMemory = { residentBytes: 0, withoutFilesBytes: 0 };

  constructor(name: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.name = name;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#stderr += String(error);
        resolve();
      });
      child.on('close', () => resolve());
    });
    // a subject that died is noticed by the answer that it does not give
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-4000)));
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#sampler = setInterval(() => this.#sample(), sampleEveryMs);
  }

  /** Waits until it has loaded, for as long as that takes. */
  async ready(): Promise<void> {
    await this.#answer();
  }

  async run(steps: number): Promise<Answer> {
    this.#child.stdin?.write(`${steps}\n`);
    return this.#answer();
  }

  peakMemory(): PeakMemory {
    this.#sample();
    return this.#peak;
  }

  async end(): Promise<void> {
    this.#sample();
    clearInterval(this.#sampler);
    this.#child.stdin?.end();
    await this.#ended;
  }

  async #answer(): Promise<Answer> {
    const line = await this.#lines.next();
    if (line.done !== true) return answerLine.parse(JSON.parse(line.value));
    await this.end();
    const last = this.#stderr.trimEnd().split('\n').at(-1) ?? '';
    throw new Error(`${this.name} ended: ${last === '' ? 'without a word' : last}`);
  }

  #sample(): void {
    const status = readStatus(this.#child.pid);
    if (status === undefined) return;
    const { residentBytes, withoutFilesBytes } = this.#peak;
    this.#peak = {
      residentBytes: Math.max(residentBytes, status('VmHWM')),
      withoutFilesBytes: Math.max(withoutFilesBytes, status('RssAnon') + status('RssShmem')),
    };
  }
}

/** Fields of /proc/PID/status in bytes; undefined where there is no such file (no Linux, or the process has ended). */
function readStatus(pid: number | undefined): ((field: string) => number) | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return (field) => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return undefined;
  }
}
