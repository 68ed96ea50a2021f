import { type LocalExamples, trainRound } from '@weft/node-agent';
import { type AdapterLayout, type NodeId, type RunId, type RunSpec, trainedFactor } from '@weft/shared';
import { initAdapter, type Model } from '@weft/trainer';

/** A node as the federation knew it: its id orders the batches. */
export interface LocalTrainee {
  readonly nodeId: NodeId;
  readonly examples: LocalExamples['training'];
}

export interface LocalTraining {
  readonly spec: RunSpec;
  readonly runId: RunId;
  readonly model: Model;
  readonly layout: AdapterLayout;
  readonly threads: number;
  readonly signal: AbortSignal;
  /** @param steps done, over all rounds */
  readonly onStep: (steps: number, loss: number) => void;
}

/**
 * What a node reaches alone: the rounds of the federation with the same seed, batches, rate, rank and factor schedule,
 * each starting from the node's own adapter instead of the aggregated one.
 */
export async function trainLocalAdapter(
  { nodeId, examples }: LocalTrainee,
  training: LocalTraining,
): Promise<Float32Array> {
  const { spec, runId, layout, onStep } = training;
  let adapter = initAdapter(layout, spec.seed);
  for (let round = 0; round < spec.rounds; round++) {
    const offer = {
      runId,
      round,
      spec,
      factor: trainedFactor(spec.adapter.schedule, round),
      batchSeed: BigInt(spec.seed),
      clipNormL2: spec.aggregation.clipNormL2,
    };
    adapter = await trainRound({
      ...training,
      offer,
      nodeId,
      adapter,
      examples,
      device: 'cpu',
      onStep: ({ step, loss }) => onStep(round * spec.training.steps + step, loss),
    });
  }
  return adapter;
}
