import {
  createSeededRandom,
  gatherFactor,
  quantizeUpdate,
  ringWordsToBytes,
  WeftError,
  type AdapterLayout,
  type NodeId,
} from '@weft/shared';
import { train, type Device, type Example, type Model } from '@weft/trainer';
import type { Offer } from './offer.ts';
import { batchOrderSeed, roundingSeed } from './seeds.ts';

/** What of an offer decides how a round is trained. */
export type TrainingOffer = Pick<Offer, 'runId' | 'round' | 'spec' | 'factor' | 'batchSeed'>;

export interface LocalWork {
  readonly offer: TrainingOffer;
  readonly nodeId: NodeId;
  readonly model: Model;
  readonly layout: AdapterLayout;
  /** The adapter that the round starts from. */
  readonly adapter: Float32Array;
  readonly examples: readonly Example[];
  readonly threads: number;
  readonly device: Device;
  readonly signal: AbortSignal;
  readonly onStep: (step: {
    readonly step: number;
    readonly steps: number;
    readonly loss: number;
    readonly tokensPerSecond: number;
  }) => void;
}

/** What is to be sent, and what the operator is told about it. */
export interface TrainedUpdate {
  readonly payload: Uint8Array;
  readonly values: number;
  readonly weight: number;
  readonly normL2: number;
  readonly clipped: boolean;
  readonly saturatedValues: number;
}

/**
 * Trains the offered factor for the steps of one round and brings what changed into the ring.
 * @throws WEFT_NODE_NO_EXAMPLES, WEFT_UPDATE_NOT_FINITE, and what the trainer throws
 */
export async function trainUpdate(work: LocalWork): Promise<TrainedUpdate> {
  const { offer, layout, adapter, examples, nodeId } = work;
  const { aggregation } = offer.spec;
  if (examples.length === 0) throw new WeftError('WEFT_NODE_NO_EXAMPLES', 'no record is left to train on');
  const trained = await trainRound(work);
  const delta = subtract(gatherFactor(layout, trained, offer.factor), gatherFactor(layout, adapter, offer.factor));
  const isUniform = aggregation.weighting === 'uniform';
  const weightCap = isUniform ? 1 : aggregation.weightCap;
  const weight = Math.min(examples.length, weightCap);
  const random = createSeededRandom(roundingSeed({ ...offer, nodeId }));
  const quantized = quantizeUpdate(delta, { clipNormL2: aggregation.clipNormL2, weight, weightCap, random });
  if (quantized === undefined)
    throw new WeftError('WEFT_UPDATE_NOT_FINITE', 'training led to values that are not finite');
  const { words, normL2, clipped, saturatedValues } = quantized;
  return { payload: ringWordsToBytes(words), values: delta.length, weight, normL2, clipped, saturatedValues };
}

/**
 * The steps of one round: batches, rate and schedule follow from the offer and the node alone.
 * @returns the whole adapter afterwards
 */
export async function trainRound({
  offer,
  nodeId,
  model,
  layout,
  adapter,
  examples,
  threads,
  device,
  signal,
  onStep,
}: LocalWork): Promise<Float32Array> {
  const { training } = offer.spec;
  const steps = train({
    model,
    layout,
    adapter,
    examples,
    steps: training.steps,
    batchSize: training.batchSize,
    sequenceLength: training.sequenceLength,
    learningRate: training.learningRate,
    schedule: training.schedule,
    warmupSteps: training.warmupSteps,
    weightDecay: training.weightDecay,
    clipGradNorm: training.clipGradNorm,
    trains: offer.factor,
    seed: batchOrderSeed({ ...offer, nodeId }),
    shuffle: true,
    threads,
    device,
    signal,
  });
  for (;;) {
    const next = await steps.next();
    if (next.done === true) return next.value.adapter;
    onStep({ ...next.value, steps: training.steps });
  }
}

function subtract(after: Float32Array, before: Float32Array): Float32Array {
  const delta = new Float32Array(after.length);
  for (let i = 0; i < after.length; i++) delta[i] = after[i]! - before[i]!;
  return delta;
}
