import { availableParallelism } from 'node:os';
import { WeftError } from '@weft/shared';
import type { Example } from './data/index.ts';
import { type GradientCheckpointing, gradientCheckpointings } from './gradient-checkpointing.ts';
import type { BatchShape } from './models/llama.ts';
import type { ModelConfig } from './models/model.ts';
import { type EncodedBatch, encodeBatch } from './objectives/causal-lm.ts';
import { bucketFor } from './objectives/sequence-buckets.ts';
import { adamwScalars, firstMoment, secondMoment } from './optim/adamw.ts';
import { smallestScale, usedLossScale } from './optim/loss-scale.ts';
import { type Schedule, scheduleFactor, schedules } from './optim/schedule.ts';
import type { WireTensor } from './session/messages.ts';
import type { SessionThread } from './session/session-thread.ts';

export interface TrainStep {
  /** The first is 1. */
  readonly step: number;
  /** Mean nats a counted token, before the step. */
  readonly loss: number;
  /** The batch's tokens without padding, over the wall time since the end of the step before. */
  readonly tokensPerSecond: number;
  /** Steps up to this one that changed nothing, because their gradients were beyond half precision. */
  readonly skippedSteps: number;
}

export interface LoopOptions {
  readonly steps: number;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly learningRate: number;
  readonly schedule?: Schedule | undefined;
  readonly warmupSteps?: number | undefined;
  readonly weightDecay?: number | undefined;
  /** Largest L2 norm of all trained gradients together; 0 leaves them as they are. */
  readonly clipGradNorm?: number | undefined;
  readonly threads?: number | undefined;
  /** `auto`, the default, decides by the memory that is free. */
  readonly gradientCheckpointing?: GradientCheckpointing | undefined;
  /** Where this run stands in a longer schedule: its first step (from 0) and all steps. */
  readonly scheduleOffset?: { readonly startStep: number; readonly totalSteps: number } | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before the first step and after each: with the number of steps that are done. Its time is no step's. */
  readonly betweenSteps?: ((done: number) => Promise<void>) | undefined;
}

export const defaultThreads = (): number => availableParallelism();

/** What an earlier part of a run has done. */
interface Done extends Consumed {
  readonly step: number;
  readonly skippedSteps?: number | undefined;
}

/** What a loop has consumed; rows that came twice count twice. */
export interface Consumed {
  readonly tokens: number;
  readonly examples: number;
}

/**
 * Steps on the thread's state, one batch each. A session for each sequence length is opened when the first batch needs
 * it; `build` writes its model. `done` is what an earlier part of the same run did, on the same batches.
 */
export async function* trainingLoop(
  thread: SessionThread,
  batches: Iterator<readonly Example[]>,
  vocabSize: number,
  build: (shape: BatchShape) => Uint8Array,
  options: LoopOptions,
  done: Done = { step: 0, tokens: 0, examples: 0 },
): AsyncGenerator<TrainStep & Consumed, Consumed, void> {
  const { steps, batchSize, sequenceLength, signal, betweenSteps } = options;
  const opened = new Set<string>();
  let consumed: Consumed = { tokens: done.tokens, examples: done.examples };
  for (let step = 0; step < done.step; step++) batches.next();
  await betweenSteps?.(done.step);
  let endOfLastStep = performance.now();
  let lastLoss: number | undefined;
  let { skippedSteps = 0 } = done;
  for (let step = done.step + 1; step <= steps; step++) {
    signal?.throwIfAborted();
    const next = batches.next();
    if (next.done) break;
    const rows = next.value;
    const bucket = bucketFor(Math.max(...rows.map(({ inputIds }) => inputIds.length)), sequenceLength);
    const batch = encodeBatch(rows, { batchSize, sequenceLength: bucket, vocabSize, reduction: 'mean' });
    if (batch.countedTokens === 0) throw nothingCounted(step, rows.length);
    const isPacked = batch.packing !== undefined;
    const session = `step-${bucket}${isPacked ? '-packed' : ''}`;
    if (!opened.has(session)) {
      await thread.open(session, build({ batchSize, sequenceLength: bucket, isPacked }));
      opened.add(session);
    }
    const results = await thread.run(session, [...batchFeeds(batch), ...optimizerFeeds(step, skippedSteps, options)]);
    const [loss, gradientNorm] = [
      results.get('loss')?.[0] ?? Number.NaN,
      results.get('gradientNorm')?.[0] ?? Number.NaN,
    ];
    // Absent where the loss is not scaled, and no step is skipped.
    const lossScale = results.get(usedLossScale)?.[0] ?? 0;
    const skipped = !Number.isFinite(gradientNorm) && lossScale > smallestScale;
    if (!Number.isFinite(loss) || !(Number.isFinite(gradientNorm) || skipped))
      throw diverged(step, { loss, gradientNorm, lastLoss, isFp16: lossScale > 0 }, rateAt(step, options));
    if (skipped) skippedSteps++;
    lastLoss = loss;
    consumed = { tokens: consumed.tokens + batch.realTokens, examples: consumed.examples + rows.length };
    const now = performance.now();
    const tokensPerSecond = (1000 * batch.realTokens) / (now - endOfLastStep);
    endOfLastStep = now;
    yield { step, loss, tokensPerSecond, skippedSteps, ...consumed };
    if (!betweenSteps) continue;
    await betweenSteps(step);
    endOfLastStep = performance.now();
  }
  return consumed;
}

/** Zero moments for trained tensors of these sizes, beside the tensors themselves. */
export const trainedState = (
  tensors: Iterable<readonly [name: string, values: Float32Array, shape: readonly number[]]>,
): WireTensor[] =>
  [...tensors].flatMap(([name, data, shape]) => [
    { name, shape, data },
    { name: firstMoment(name), shape, data: new Float32Array(data.length) },
    { name: secondMoment(name), shape, data: new Float32Array(data.length) },
  ]);

export function batchFeeds({ inputIds, targets, rowWeights, packing, sequenceLength }: EncodedBatch): WireTensor[] {
  const shape = [inputIds.length];
  const perRow = [inputIds.length / sequenceLength, sequenceLength];
  return [
    { name: 'inputIds', shape, data: inputIds },
    { name: 'targets', shape, data: targets },
    { name: 'rowWeights', shape, data: rowWeights },
    ...(packing
      ? [
          { name: 'segments', shape: perRow, data: packing.segments },
          { name: 'positions', shape: perRow, data: packing.positions },
        ]
      : []),
  ];
}

export function checkLoopOptions(options: LoopOptions, { maxPositions }: Pick<ModelConfig, 'maxPositions'>): void {
  const whole = ['steps', 'batchSize', 'sequenceLength'] as const;
  for (const name of whole) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1)
      throw badOption(name, options[name], 'a whole number from 1');
  }
  if (options.sequenceLength > maxPositions) {
    throw badOption('sequenceLength', options.sequenceLength, `at most the model's ${maxPositions} positions`);
  }
  const { learningRate, schedule = 'constant' } = options;
  if (!(learningRate >= 0 && Number.isFinite(learningRate)))
    throw badOption('learningRate', learningRate, 'a number from 0');
  for (const name of ['warmupSteps', 'weightDecay', 'clipGradNorm'] as const) {
    const value = options[name] ?? 0;
    if (!(value >= 0 && Number.isFinite(value))) throw badOption(name, value, 'a number from 0');
  }
  const { gradientCheckpointing = 'auto' } = options;
  if (!gradientCheckpointings.includes(gradientCheckpointing))
    throw badOption('gradientCheckpointing', gradientCheckpointing, gradientCheckpointings.join(', '));
  if (!schedules.includes(schedule)) throw badOption('schedule', schedule, schedules.join(', '));
}

export const badOption = (name: string, value: unknown, range: string): WeftError =>
  new WeftError('WEFT_TRAINING_BAD_OPTION', `${name} is ${String(value)}, it can be ${range}`, { option: name });

function rateAt(
  step: number,
  { learningRate, schedule = 'constant', warmupSteps = 0, scheduleOffset, steps }: LoopOptions,
): number {
  const { startStep, totalSteps } = scheduleOffset ?? { startStep: 0, totalSteps: steps };
  return learningRate * scheduleFactor(schedule, startStep + step - 1, warmupSteps, totalSteps);
}

/** A step that was skipped is none to the optimizer, whose moments it left alone; the schedule goes on. */
const optimizerFeeds = (step: number, skippedSteps: number, options: LoopOptions): WireTensor[] =>
  Object.entries(adamwScalars(step - skippedSteps, rateAt(step, options), options.weightDecay ?? 0)).map(
    ([name, value]) => ({
      name,
      shape: [],
      data: Float32Array.of(value),
    }),
  );

const nothingCounted = (step: number, rows: number): WeftError =>
  new WeftError(
    'WEFT_TRAINING_NOTHING_COUNTED',
    `step ${step}: none of the tokens in the batch's ${rows} rows counts`,
    { step, rows },
  );

interface Divergence {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly lastLoss: number | undefined;
  readonly isFp16: boolean;
}

function diverged(step: number, { loss, gradientNorm, lastLoss, isFp16 }: Divergence, rate: number): WeftError {
  const before = lastLoss === undefined ? '' : ` after ${lastLoss.toPrecision(4)} at the step before`;
  const halves = 'a value is beyond float16, which reaches to 65504 (try precision bf16 or fp32)';
  const highRate = `the learning rate of ${rate} is probably too high`;
  const unlearnt = 'nothing was learnt before it, so ';
  const cause =
    lastLoss === undefined
      ? unlearnt + (isFp16 ? halves : 'the weights or the device (try cpu) give values beyond float32')
      : isFp16
        ? `${highRate}, or ${halves}`
        : highRate;
  const what = `step ${step}: the loss is ${loss}${before}, the gradient norm ${gradientNorm}; ${cause}`;
  return new WeftError('WEFT_TRAINING_DIVERGED', what, { step, loss, gradientNorm, learningRate: rate });
}
