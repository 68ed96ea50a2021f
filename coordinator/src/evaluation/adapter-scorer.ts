import { fork, type ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WeftError, type AdapterLayout, type ErrorCode, type GateScore } from '@weft/shared';
import type { GateFormat } from './gate-data.ts';

/** What is scored with what. Files only: the process that reads them is another one. */
export interface ScoringJob {
  readonly modelPath: string;
  readonly modelSha256: string;
  /** Where GGUF files are unpacked. */
  readonly cacheDir?: string | undefined;
  readonly layout: AdapterLayout;
  readonly adapterFile: string;
  readonly dataFile: string;
  readonly format: GateFormat;
  readonly sequenceLength: number;
  readonly batchSize: number;
}

export interface AdapterScorer {
  /** @throws what the trainer says of model and data; an adapter whose loss is not finite has a score, null */
  score(job: ScoringJob, signal: AbortSignal): Promise<GateScore>;
}

export type ScoringAnswer = GateScore | { readonly code: ErrorCode; readonly message: string };

/** In a process of its own, on the CPU, one at a time for each caller. */
export const createAdapterScorer = (): AdapterScorer => ({
  score: (job, signal) =>
    new Promise((resolve, reject) => {
      const module = new URL(`score-worker${extname(import.meta.url)}`, import.meta.url);
      const child = fork(fileURLToPath(module), {
        signal,
        execArgv: [],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      let answer: ScoringAnswer | undefined;
      child.once('error', reject);
      child.once('message', (message: ScoringAnswer) => (answer = message));
      // Once it is gone, so is its memory: the next one may begin.
      child.once('close', (exitCode, killedBy) => {
        if (answer === undefined) return reject(died(exitCode, killedBy));
        if ('code' in answer) return reject(new WeftError(answer.code, answer.message));
        resolve(answer);
      });
      send(child, job).catch(reject);
    }),
});

const send = (child: ChildProcess, job: ScoringJob): Promise<void> =>
  new Promise((resolve, reject) => child.send(job, (error) => (error === null ? resolve() : reject(error))));

const died = (exitCode: number | null, killedBy: string | null): WeftError =>
  new WeftError(
    'WEFT_GATE_NOT_SCORED',
    `the process that scores an adapter ended ${killedBy === null ? `with code ${exitCode}` : `by ${killedBy}`} and without a score`,
  );

/** What a failure of the trainer means for the gate: a loss that is not finite is a score. */
export const toAnswer = (error: WeftError, tokens: number): ScoringAnswer =>
  error.code === 'WEFT_TRAINING_DIVERGED' ? { lossSum: null, tokens } : { code: error.code, message: error.message };
