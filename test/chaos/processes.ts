import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeEvent, NodeOptions } from '@weft/node-agent';
import { adminRequest } from '../admin-request.ts';
import type { Kill } from './coordinator-process.ts';
import type { Said } from './node-process.ts';

const coordinatorProgram = fileURLToPath(new URL('coordinator-process.ts', import.meta.url));
const nodeProgram = fileURLToPath(new URL('node-process.ts', import.meta.url));
const skewPreload = fileURLToPath(new URL('skew.ts', import.meta.url));

/** Milliseconds: as long as the process lives, and from the middle of the first session on. */
export interface Skew {
  readonly fromStart?: number;
  /** After it was killed and started again, in place of `fromStart`. */
  readonly again?: number;
  readonly later?: number;
}

interface Child {
  readonly ended: Promise<NodeJS.Signals | null>;
  /** Its clock jumps. */
  shift(): void;
}

export interface CoordinatorProcess extends Child {
  readonly port: string;
  admin<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>;
  stop(): Promise<void>;
}

export interface NodeProcess extends Child {
  /** The messages of sessions that it was about to send. */
  readonly said: readonly Said[];
  readonly events: readonly NodeEvent[];
  /** The first event of this kind, past or future; rejects where the process ends before. */
  event<E extends NodeEvent['event']>(kind: E): Promise<Extract<NodeEvent, { event: E }>>;
}

export interface CoordinatorOptions {
  readonly home: string;
  /** 0 for any. */
  readonly port: number;
  readonly leaseMs?: number | undefined;
  readonly settleMs?: number | undefined;
  readonly kill?: Kill | undefined;
}

/** Processes of one federation; those that are left at its end are killed. */
export interface Processes {
  coordinator(options: CoordinatorOptions, skew?: Skew): Promise<CoordinatorProcess>;
  /** @param message of a session, with which written down it dies */
  node(
    options: NodeOptions,
    more: { held: string; message?: string | undefined; skew?: Skew | undefined },
  ): NodeProcess;
  killAll(): void;
}

export function createProcesses(): Processes {
  const children = new Set<ChildProcess>();

  const run = (program: string, args: unknown, skew: Skew | undefined, onLine: (line: string) => void) => {
    const preload = skew ? ['--import', skewPreload] : [];
    const child = spawn(process.execPath, [...preload, program, JSON.stringify(args)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        WEFT_SKEW_MS: String(skew?.fromStart ?? 0),
        WEFT_SKEW_LATER_MS: String(skew?.later ?? 0),
      },
    });
    children.add(child);
    createInterface(child.stdout).on('line', onLine);
    // All that it printed has been read by then.
    const ended = once(child, 'close').then(([, signal]) => {
      children.delete(child);
      return signal as NodeJS.Signals | null;
    });
    return { child, ended, shift: () => void child.kill('SIGUSR2') };
  };

  return {
    async coordinator(options, skew) {
      const ready = Promise.withResolvers<{ grpcAddress: string; httpUrl: string }>();
      const { child, ended, shift } = run(coordinatorProgram, options, skew, (line) =>
        ready.resolve(JSON.parse(line) as never),
      );
      void ended.then((signal) => ready.reject(new Error(`the coordinator did not start (${signal ?? 'no signal'})`)));
      const { grpcAddress, httpUrl } = await ready.promise;
      const token = await readFile(join(options.home, 'admin-token'), 'utf8');
      return {
        port: grpcAddress.split(':').at(-1)!,
        ended,
        shift,
        admin: (method, path, body) => adminRequest({ httpUrl, token }, method, path, body),
        async stop() {
          child.kill('SIGTERM');
          await ended;
        },
      };
    },
    node(options, { held, message, skew }) {
      const said: Said[] = [];
      const events: NodeEvent[] = [];
      const waiting = new Set<() => void>();
      const { ended, shift } = run(nodeProgram, { options, held, message }, skew, (line) => {
        const told = JSON.parse(line) as Said | NodeEvent;
        if ('event' in told) events.push(told);
        else said.push(told);
        for (const look of waiting) look();
      });
      return {
        ended,
        shift,
        said,
        events,
        event<E extends NodeEvent['event']>(kind: E) {
          type Wanted = Extract<NodeEvent, { event: E }>;
          return new Promise<Wanted>((resolve, reject) => {
            const look = (): void => {
              const found = events.find(({ event }) => event === kind);
              if (found !== undefined) resolve(found as Wanted);
            };
            waiting.add(look);
            look();
            void ended.then((signal) => reject(new Error(`a node ended (${signal ?? 'by itself'}) without ${kind}`)));
          });
        },
      };
    },
    killAll() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
