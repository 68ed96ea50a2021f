import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeEvent } from '@weft/node-agent';

const entry = fileURLToPath(new URL('../../cli/bin/weft.mjs', import.meta.url));

/** A process with what it prints, line by line. */
export interface WeftProcess {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null; readonly log: string }>;
  /** The first event of this kind that an agent tells with `--json`, past or future. */
  says(event: NodeEvent['event']): Promise<NodeEvent>;
}

/** Processes of one test. */
export interface WeftProcesses {
  readonly weft: (...args: string[]) => WeftProcess;
  /** Any other script of this Node. */
  readonly script: (...args: string[]) => WeftProcess;
  killAll(): void;
}

export function createWeftProcesses(): WeftProcesses {
  const children = new Set<ChildProcess>();
  const script = (...args: string[]): WeftProcess => {
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    const lines: string[] = [];
    const waiting = new Set<(line: string) => void>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      for (const hear of waiting) hear(line);
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const exited = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as string | null,
      log,
    }));
    return {
      child,
      lines,
      exited,
      says(kind) {
        const told = lines.map((line) => JSON.parse(line) as NodeEvent).find(({ event }) => event === kind);
        if (told !== undefined) return Promise.resolve(told);
        return new Promise((resolve) => {
          const hear = (line: string): void => {
            const event = JSON.parse(line) as NodeEvent;
            if (event.event !== kind) return;
            waiting.delete(hear);
            resolve(event);
          };
          waiting.add(hear);
        });
      },
    };
  };
  return {
    script,
    weft: (...args) => script(entry, ...args),
    killAll() {
      for (const child of children) child.kill('SIGKILL');
      children.clear();
    },
  };
}
