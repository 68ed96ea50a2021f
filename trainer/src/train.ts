import { type AdapterLayout, factorSize, gatherFactor, scatterFactor, type TrainedFactor } from '@weft/shared';
import { batches, type Example } from './data/index.ts';
import { frozenFactor, frozenInput, trainedInput } from './adapters/lora-inputs.ts';
import { loraSource } from './adapters/lora-source.ts';
import { decideCheckpointing } from './gradient-checkpointing.ts';
import { trainingWeights } from './models/training-weights.ts';
import type { Model } from './models/model.ts';
import type { TrainingState } from './checkpoint/index.ts';
import { firstMoment, secondMoment } from './optim/adamw.ts';
import { lossScaleNames, lossScaleState } from './optim/loss-scale.ts';
import { chooseDevice } from './devices/choose-device.ts';
import { choosePrecision, type Precision } from './devices/precision.ts';
import type { Device } from './session/device.ts';
import type { WireTensor } from './session/messages.ts';
import { SessionThread } from './session/session-thread.ts';
import { explainDivergence } from './weights/not-finite.ts';
import { createScorer, type Evaluation } from './score-examples.ts';
import { buildEvaluation, buildTrainingStep, scalesLoss } from './training-step.ts';
import {
  badOption,
  checkLoopOptions,
  defaultThreads,
  type LoopOptions,
  trainedState,
  trainingLoop,
  type TrainStep,
} from './training-loop.ts';

/** Every decision of a run; `train` in training-run.ts has defaults for most. */
export interface StepOptions extends LoopOptions {
  readonly model: Pick<Model, 'config' | 'tensors' | 'quantised'>;
  readonly layout: AdapterLayout;
  /** Values in layout order; left as they are. */
  readonly adapter: Float32Array;
  readonly examples: readonly Example[];
  /** Which factor learns; the other keeps its bits. */
  readonly trains?: TrainedFactor | undefined;
  readonly seed?: number | undefined;
  /** Without it a batch is the next rows in order. */
  readonly shuffle?: boolean | undefined;
  readonly device?: Device | undefined;
  /** ONNX Runtime writes where the time goes, when the run ends: JSON for chrome://tracing, in files whose names begin so. */
  readonly profilePrefix?: string | undefined;
  /** Of products, `fp32` without it; `auto` takes half precision where the device is made for it. */
  readonly precision?: Precision | 'auto' | undefined;
  /** Scored before the first step, every so many steps, and after the last. */
  readonly validation?: Validation | undefined;
  /** A snapshot of the same run: the steps after it are the ones that the unbroken run would have taken. */
  readonly resumeFrom?: TrainingState | undefined;
}

export interface Validation {
  readonly examples: readonly Example[];
  readonly everySteps: number;
  readonly onScore: (steps: number, evaluation: Evaluation) => void;
}

export interface LoraTrainStep extends TrainStep {
  /** What `resumeFrom` takes; ask before the next step is. */
  readonly snapshot: () => Promise<TrainingState>;
}

export interface TrainResult {
  readonly adapter: Float32Array;
  /** Tokens without padding and rows that the steps consumed; what came twice counts twice. */
  readonly tokens: number;
  readonly examples: number;
}

/** Fine-tunes LoRA factors: yields after each step, returns the trained adapter. */
export async function* trainSteps(options: StepOptions): AsyncGenerator<LoraTrainStep, TrainResult, void> {
  const {
    model,
    layout,
    examples,
    trains = 'both',
    batchSize,
    seed = 0,
    shuffle = true,
    resumeFrom,
    validation,
  } = options;
  const adapter = resumeFrom?.adapter ?? options.adapter;
  checkLoopOptions(options, model.config);
  if (validation && !(Number.isSafeInteger(validation.everySteps) && validation.everySteps >= 1))
    throw badOption('validation.everySteps', validation.everySteps, 'a whole number from 1');
  if (layout.size === 0) throw badOption('layout', 'without tensors', 'one with a target at least');
  if (adapter.length !== layout.size) throw badOption('adapter', `${adapter.length} values`, `${layout.size} values`);
  if (!adapter.every((value) => Number.isFinite(value)))
    throw badOption('adapter', 'not finite in every value', 'numbers');
  if (resumeFrom) checkMoments(resumeFrom, factorSize(layout, trains));
  const threads = options.threads ?? defaultThreads();
  const { provider } = await chooseDevice(options.device ?? 'auto', model.quantised ?? model.tensors, threads);
  const precision = await choosePrecision(options.precision ?? 'fp32', provider.name, threads);
  const weights = await trainingWeights(model);
  const source = loraSource(weights, layout, trains);
  const optimizer = { clipGradNorm: options.clipGradNorm || undefined, weightDecay: options.weightDecay ?? 0 };
  await using thread = new SessionThread({
    provider,
    threads,
    weightsFolder: weights.folder,
    profilePrefix: options.profilePrefix,
    keepsState: true,
  });
  // Not awaited: while the thread loads the runtime, the first step's graph is written here. The thread does what it is
  // told in order, and one that failed says so when the session is opened.
  const state = [
    ...adapterState(layout, adapter, trains, resumeFrom),
    ...(scalesLoss(precision) ? lossScaleState(resumeFrom?.lossScale) : []),
  ];
  thread.setState(state).catch(() => {});
  const checkpointing = decideCheckpointing(options, model.config, () => source, provider);
  const snapshot = async (): Promise<TrainedValues> => {
    const names = scalesLoss(precision) ? [...trainedNames, ...lossScaleNames] : trainedNames;
    const values = await thread.readState(names);
    const [trained = none, first = none, second = none, scale, goodSteps] = names.map((name) => values.get(name));
    return {
      adapter: scatterFactor(layout, adapter, trains, trained),
      firstMoment: first,
      secondMoment: second,
      ...(scale?.[0] !== undefined &&
        goodSteps?.[0] !== undefined && { lossScale: { scale: scale[0], goodSteps: goodSteps[0] } }),
    };
  };
  const validate = ({ examples: held, everySteps, onScore }: Validation): ((done: number) => Promise<void>) => {
    const score = createScorer(thread, {
      examples: held,
      batchSize,
      config: model.config,
      build: (shape) => buildEvaluation(model.config, shape, source, provider.target, precision),
      signal: options.signal,
    });
    const first = resumeFrom?.step ?? 0;
    return async (done) => {
      if (done === first || done === options.steps || done % everySteps === 0) onScore(done, await score());
    };
  };
  const loop = trainingLoop(
    thread,
    batches(examples, { batchSize, seed, shuffle })[Symbol.iterator](),
    model.config.vocabSize,
    (shape) =>
      buildTrainingStep(model.config, { ...shape, checkpointing }, source, optimizer, provider.target, precision),
    { ...options, betweenSteps: validation && validate(validation) },
    resumeFrom,
  );
  while (true) {
    const next = await loop.next().catch((error: unknown) => explainDivergence(error, model.tensors));
    if (next.done) return { ...next.value, adapter: (await snapshot()).adapter };
    const { step, loss, tokensPerSecond, skippedSteps, tokens, examples: rows } = next.value;
    yield {
      step,
      loss,
      tokensPerSecond,
      skippedSteps,
      snapshot: async () => ({ step, skippedSteps, tokens, examples: rows, ...(await snapshot()) }),
    };
  }
}

type TrainedValues = Pick<TrainingState, 'adapter' | 'firstMoment' | 'secondMoment' | 'lossScale'>;

const none = new Float32Array();
const trainedNames = [trainedInput, firstMoment(trainedInput), secondMoment(trainedInput)];

function checkMoments(state: TrainingState, size: number): void {
  for (const name of ['firstMoment', 'secondMoment'] as const) {
    if (state[name].length !== size)
      throw badOption(`resumeFrom.${name}`, `${state[name].length} values`, `${size} values`);
  }
}

function adapterState(
  layout: AdapterLayout,
  adapter: Float32Array,
  trains: TrainedFactor,
  moments: TrainedValues | undefined,
): WireTensor[] {
  const values = gatherFactor(layout, adapter, trains);
  const frozen = frozenFactor(trains);
  const still = frozen && gatherFactor(layout, adapter, frozen);
  return [
    ...trainedState([[trainedInput, values, [values.length]]]),
    ...(moments ? momentsOf(moments) : []),
    ...(still ? [{ name: frozenInput, shape: [still.length], data: still }] : []),
  ];
}

/** In place of the zeros that a fresh run starts with. */
const momentsOf = (saved: TrainedValues): WireTensor[] => [
  { name: firstMoment(trainedInput), shape: [saved.firstMoment.length], data: saved.firstMoment },
  { name: secondMoment(trainedInput), shape: [saved.secondMoment.length], data: saved.secondMoment },
];
