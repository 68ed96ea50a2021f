import { randomBytes } from 'node:crypto';
import {
  createSeededRandom,
  gatherFactor,
  payloadOf,
  privacy,
  quantizeUpdate,
  updateEncoding,
  WeftError,
  type AdapterLayout,
  type NodeId,
  type QuantizedUpdate,
  type UpdateEncoding,
} from '@weft/shared';
import { train, type Device, type Example, type Model } from '@weft/trainer';
import type { Offer } from './offer.ts';
import { batchOrderSeed, roundingSeed } from './seeds.ts';

/** What of an offer decides how a round is trained. */
export type TrainingOffer = Pick<Offer, 'runId' | 'round' | 'spec' | 'factor' | 'batchSeed' | 'clipNormL2'>;

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
  readonly ringBits: number;
  readonly weight: number;
  readonly normL2: number;
  readonly clipped: boolean;
  readonly saturatedValues: number;
}

/**
 * Trains the offered factor for the steps of one round and brings what changed into the ring, with this node's share
 * of the noise where the run asks for it.
 * @throws WEFT_NODE_NO_EXAMPLES, WEFT_UPDATE_NOT_FINITE, WEFT_PRIVACY_ROUNDING, and what the trainer throws
 */
export async function trainUpdate(work: LocalWork): Promise<TrainedUpdate> {
  const { offer, layout, adapter, examples } = work;
  if (examples.length === 0) throw new WeftError('WEFT_NODE_NO_EXAMPLES', 'no record is left to train on');
  const trained = await trainRound(work);
  const delta = subtract(gatherFactor(layout, trained, offer.factor), gatherFactor(layout, adapter, offer.factor));
  const encoding = updateEncoding(offer.spec, delta.length, offer.clipNormL2);
  const { weight, quantized } = quantize(work, delta, encoding);
  if (quantized === undefined)
    throw new WeftError('WEFT_UPDATE_NOT_FINITE', 'training led to values that are not finite');
  const { normL2, clipped, saturatedValues } = quantized;
  return {
    payload: payloadOf(encoding, quantized, { weight, ...clipBitOf(encoding, quantized) }),
    values: delta.length,
    ringBits: encoding.form.bits,
    weight,
    normL2,
    clipped,
    saturatedValues,
  };
}

function quantize(
  { offer, examples, nodeId }: LocalWork,
  delta: Float32Array,
  { grid, noise, offered }: UpdateEncoding,
) {
  const rotationSeed = privacy.rotationSeed(offer.runId, offer.round);
  if (noise)
    return { weight: 1, quantized: privacy.encodeNoisyUpdate(delta, noise, { rotationSeed, key: randomBytes(32) }) };
  const { clipNormL2, weightCap } = offered;
  const weight = Math.min(examples.length, weightCap);
  const random = createSeededRandom(roundingSeed({ ...offer, nodeId }));
  return { weight, quantized: quantizeUpdate(delta, grid, { clipNormL2, weight, weightCap, rotationSeed, random }) };
}

/** Whether the update was within the clip norm, as it leaves in a run that adapts it. */
const clipBitOf = ({ clipBit }: UpdateEncoding, { clipped }: QuantizedUpdate) =>
  clipBit && { clipBit: privacy.noisyClipBit(clipBit, !clipped, randomBytes(32)) };

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
