import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WeftError } from '@weft/shared';

const entry = fileURLToPath(new URL('../../bin/weft.mjs', import.meta.url));
/** What a process may take to drain before it is killed. */
const drainMs = 10_000;
/** Last lines of a process's log that an error repeats. */
const logLines = 20;

/** One `weft …` process of the demo. */
export interface WeftProcess {
  readonly name: string;
  readonly pid: number;
  /** Settles with the exit code when the process has gone. */
  readonly exited: Promise<number>;
  /** Asks it to drain and waits until it has gone. */
  stop(): Promise<void>;
}

export interface WeftProcessOptions {
  readonly name: string;
  readonly args: readonly string[];
  /** Each line of standard output that is JSON, parsed. */
  readonly onLine?: (line: unknown) => void;
}

/** Starts processes and leaves none behind: whatever way the demo ends, `stopAll` or the exit of this process ends them. */
export class ProcessGroup {
  readonly #running = new Set<ChildProcess>();
  readonly #environment: Readonly<Record<string, string>>;

  /** @param environment what the processes see beside this one's own variables */
  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
    process.once('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL');
    });
  }

  start({ name, args, onLine }: WeftProcessOptions): WeftProcess {
    const child = spawn(process.execPath, [entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#environment },
    });
    this.#running.add(child);
    const log: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line);
      if (log.length > logLines) log.shift();
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseLine(line);
      if (parsed !== undefined) onLine?.(parsed);
    });
    const exited = once(child, 'exit').then(([code]) => {
      this.#running.delete(child);
      return (code as number | null) ?? 1;
    });
    const failed = exited.then((code) => {
      if (code !== 0) {
        throw new WeftError(
          'WEFT_DEMO_RUN_FAILED',
          `${name} ended with exit code ${code}; its last lines:\n${log.join('\n')}`,
        );
      }
      return code;
    });
    failed.catch(() => {}); // whoever waits for it sees the error; nobody has to
    return {
      name,
      pid: child.pid ?? 0,
      exited: failed,
      stop: () => endProcess(child),
    };
  }

  /** Asks every process to drain, and waits until all have gone. */
  async stopAll(): Promise<void> {
    await Promise.all(Array.from(this.#running, endProcess));
  }

  /** Runs a command to its end and gives back the last JSON that it printed. */
  async run(name: string, args: readonly string[]): Promise<unknown> {
    let last: unknown;
    await this.start({ name, args, onLine: (line) => (last = line) }).exited;
    return last;
  }
}

/** Asks a process to drain; kills it, by its process id, where it does not. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), drainMs);
  await gone;
  clearTimeout(timer);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // a line for people
  }
}
