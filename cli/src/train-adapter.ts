import { rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import { createAdapterLayout, WeftError, type AdapterLayout, type LoraTarget } from '@weft/shared';
import {
  adapterHash,
  identifyRun,
  initAdapter,
  loadCheckpoint,
  saveAdapter,
  saveCheckpoint,
  saveTrainingRecord,
  train,
  trainDefaults,
  writeFileAtomically,
  type GradientCheckpointing,
  type LoadedAdapter,
  type Model,
  type Precision,
  type RunIdentity,
} from '@weft/trainer';
import { onInterrupt } from './interrupt.ts';
import { lossCurve, type ValidationScore } from './loss-curve.ts';
import { openAdapter } from './open-adapter.ts';
import { createProgress } from './progress.ts';
import { type HeldModelOptions, openHeldModel } from './held-model.ts';
import { settleDevice, settlePrecision } from './settle-device.ts';
import { paddingReport, tokenReport } from './token-report.ts';
import { readTrainingData } from './training-data.ts';

/** The flags of `weft train`. */
export interface TrainOptions extends HeldModelOptions {
  readonly data: readonly string[];
  readonly out: string;
  readonly rank?: number;
  readonly alpha?: number;
  readonly targets?: readonly LoraTarget[];
  readonly lr: number;
  readonly batch: number;
  readonly seq: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly weightDecay: number;
  readonly warmup: number;
  readonly clipGrad: number;
  readonly schedule: 'constant' | 'linear' | 'cosine';
  readonly seed: number;
  readonly initAdapter?: string;
  readonly anyBase?: true;
  readonly checkpointEvery?: number;
  readonly resume?: true;
  readonly shuffle: boolean;
  readonly packing?: true;
  readonly precision: Precision | 'auto';
  readonly validation?: number | string;
  readonly validateEvery?: number;
  readonly gradientCheckpointing: GradientCheckpointing;
  readonly plot?: string;
  readonly json?: true;
}

/** A flag that says something else than the adapter that was named cannot be obeyed. */
const refuseDisagreement = (layout: AdapterLayout, { rank, alpha, targets }: TrainOptions, folder: string): void => {
  const asked = { rank, alpha, targets: targets?.join(',') };
  const found = { rank: layout.rank, alpha: layout.alpha, targets: layout.targets.join(',') };
  for (const flag of ['rank', 'alpha', 'targets'] as const) {
    if (asked[flag] !== undefined && asked[flag] !== found[flag]) {
      throw new WeftError(
        'WEFT_FLAG_DISAGREES',
        `--${flag} says ${asked[flag]}, the adapter in ${folder} has ${found[flag]}`,
      );
    }
  }
};

const startAdapter = async (model: Model, options: TrainOptions): Promise<LoadedAdapter> => {
  if (options.initAdapter !== undefined) {
    const loaded = await openAdapter(options.initAdapter, model, options);
    refuseDisagreement(loaded.layout, options, options.initAdapter);
    return loaded;
  }
  const layout = createAdapterLayout(model.config, {
    rank: options.rank ?? trainDefaults.rank,
    alpha: options.alpha ?? trainDefaults.alpha,
    targets: options.targets ?? trainDefaults.targets,
  });
  return { layout, adapter: initAdapter(layout, options.seed) };
};

const stepsOf = ({ steps, epochs, batch }: TrainOptions, examples: number): number =>
  steps ?? (epochs ?? 1) * Math.ceil(examples / batch);

/** Every flag that decides the bits of a step, by its name. */
const decisiveOptions = (options: TrainOptions, layout: AdapterLayout, steps: number): RunIdentity['options'] => ({
  '--rank': layout.rank,
  '--alpha': layout.alpha,
  '--targets': layout.targets.join(','),
  '--lr': options.lr,
  '--batch': options.batch,
  '--seq': options.seq,
  '--steps': steps,
  '--weight-decay': options.weightDecay,
  '--warmup': options.warmup,
  '--clip-grad': options.clipGrad,
  '--schedule': options.schedule,
  '--seed': options.seed,
  '--shuffle': options.shuffle,
  ...(options.packing && { '--packing': true }),
  ...(options.precision !== 'fp32' && { '--precision': options.precision }),
  '--threads': options.threads, // another number sums in another order
  '--device': options.device,
  '--base': options.base,
});

const writeLine = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const noteOf = (loss: number | undefined, score: ValidationScore | undefined): string =>
  [loss !== undefined && `loss ${loss.toFixed(4)}`, score && `validation ${score.loss.toFixed(4)}`]
    .filter((part) => typeof part === 'string')
    .join('  ');

/** Trains and writes the adapter; the steps go to standard output as JSON lines, or to a bar. */
export const trainAdapter = async (options: TrainOptions): Promise<void> => {
  const signal = onInterrupt('stopping after this step, with a checkpoint for --resume');
  const model = await openHeldModel(options, signal);
  const device = await settleDevice(model, options);
  const precision = await settlePrecision(options.precision, device, options.threads);
  const { examples, report, padding, validation } = await readTrainingData(model, options);
  process.stderr.write(`${tokenReport(report, options.seq)}\n${paddingReport(report, padding)}\n`);
  if (options.packing) process.stderr.write(`packed into ${examples.length} rows of at most ${options.seq} tokens\n`);
  if (validation) process.stderr.write(`validation: ${tokenReport(validation.report, options.seq)}\n`);
  const { layout, adapter } = await startAdapter(model, options);
  const steps = stepsOf(options, examples.length);
  const identity = identifyRun(
    model,
    examples,
    adapter,
    decisiveOptions({ ...options, device, precision }, layout, steps),
  );
  const checkpointFolder = join(options.out, 'checkpoint');
  const resumed = options.resume ? await loadCheckpoint(checkpointFolder, identity) : undefined;
  if (resumed) process.stderr.write(`going on after step ${resumed.state.step} of ${steps}\n`);
  const losses = [...(resumed?.losses ?? [])];
  const scores = [...(resumed?.scores ?? [])];

  const progress = options.json ? undefined : createProgress();
  const bar = progress?.bar('train', steps);
  // whatever ends the loop ends the runtime's thread, too
  await using training = train({
    model,
    layout,
    adapter,
    examples,
    steps,
    batchSize: options.batch,
    sequenceLength: options.seq,
    learningRate: options.lr,
    schedule: options.schedule,
    warmupSteps: options.warmup,
    weightDecay: options.weightDecay,
    clipGradNorm: options.clipGrad,
    trains: 'both',
    gradientCheckpointing: options.gradientCheckpointing,
    seed: options.seed,
    shuffle: options.shuffle,
    threads: options.threads,
    device,
    precision,
    resumeFrom: resumed?.state,
    validation: validation && {
      examples: validation.examples,
      everySteps: options.validateEvery ?? Math.max(1, Math.round(steps / 10)),
      onScore: (step, { lossSum, tokens }) => {
        const score = { step, loss: lossSum / tokens, tokens };
        scores.push(score);
        if (options.json) writeLine({ validation: score });
        bar?.update(step, noteOf(losses.at(-1), score));
        progress?.log(`validation loss ${score.loss.toFixed(4)} after step ${step}`);
      },
    },
    signal,
  });
  const data = { ...report, ...padding, ...(validation && { validation: validation.report }) };
  let isFirst = true;
  let skipped = 0;
  let result = await training.next();
  while (result.done !== true) {
    const { step, loss, tokensPerSecond, skippedSteps, snapshot } = result.value;
    skipped = skippedSteps;
    losses.push(loss);
    if (signal.aborted || step % (options.checkpointEvery ?? Number.POSITIVE_INFINITY) === 0) {
      const state = await snapshot();
      await saveCheckpoint(checkpointFolder, identity, { state, losses: Float32Array.from(losses), scores });
    }
    // One line a step, whoever reads them; the first also says what it is trained on.
    if (options.json) writeLine({ step, loss, tokensPerSecond, ...(isFirst && { data }) });
    isFirst = false;
    bar?.update(step, `${noteOf(loss, scores.at(-1))}  ${tokensPerSecond.toFixed(0)} tokens/s`);
    if (signal.aborted && step < steps) {
      process.stderr.write(`wrote a checkpoint of step ${step}; --resume goes on from it\n`);
    }
    result = await training.next();
  }
  bar?.finish();
  progress?.close();
  if (skipped > 0) process.stderr.write(`${skipped} of ${steps} steps were skipped: their gradients overflowed fp16\n`);
  await saveAdapter(options.out, model, { layout, adapter: result.value.adapter });
  await saveTrainingRecord(options.out, {
    adapter: await adapterHash(options.out),
    model: identity.model,
    data: identity.data,
    options: identity.options,
    examples: examples.length,
    firstLoss: losses[0] ?? Number.NaN,
    lastLoss: losses.at(-1) ?? Number.NaN,
  });
  if (options.plot !== undefined) {
    const curve = lossCurve(losses, basename(resolve(options.out)), scores);
    await writeFileAtomically(options.plot, async (handle) => handle.writeFile(curve));
  }
  await rm(checkpointFolder, { recursive: true, force: true });
  process.stderr.write(`wrote the adapter to ${options.out} (adapter_config.json, adapter_model.safetensors)\n`);
};
