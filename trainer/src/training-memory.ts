import type { AdapterLayout, TrainedFactor } from '@weft/shared';
import { loraSource } from './adapters/lora-source.ts';
import { peakMemoryBytes, sizeBytes } from './graph/peak-memory.ts';
import type { BatchShape, ParameterSource } from './models/llama.ts';
import { frozenWeights } from './models/frozen-weights.ts';
import type { Model, ModelConfig } from './models/model.ts';
import { buildTrainingGraph } from './training-step.ts';

/** What a training step will hold in memory on the CPU, in bytes. */
export interface TrainingMemory {
  /** Values between the nodes of the step at their peak: activations, gradients, the logits of a chunk. */
  readonly intermediateBytes: number;
  /** What is trained, its moments, and the batch. */
  readonly stateBytes: number;
  /** The step's graph, as JavaScript and ONNX Runtime keep it. */
  readonly graphBytes: number;
  /** Pages of the model's files, which the system can drop and read again. */
  readonly weightBytes: number;
  /** All of it with the process itself: the largest resident set. */
  readonly residentBytes: number;
}

export interface PlannedTraining extends BatchShape {
  readonly model: Pick<Model, 'config' | 'tensors'>;
  readonly layout: AdapterLayout;
  readonly trains?: TrainedFactor | undefined;
}

/** Node.js with a model and its tokenizer, and ONNX Runtime in its thread: much the same for every model. */
const processBytes = 215e6;
/** The allocator's pieces do not fit together without gaps. */
const fragmentation = 1.15;
/** A node of the graph costs about as much: names, protobuf, the runtime's node, kernel and plan. */
const bytesPerNode = 10e3;
/** All layers are alike but for windows, so that two graphs of few layers tell what many cost. */
const [few, more] = [2, 4] as const;

/** The memory that fine-tuning LoRA factors takes, from the model's description alone; `checkpointing` as in `BatchShape`. */
export const predictTrainingMemory = ({
  model,
  layout,
  trains = 'both',
  ...shape
}: PlannedTraining): TrainingMemory => {
  const source = loraSource(frozenWeights(model.tensors), layout, trains);
  return predictStepMemory(model.config, shape, () => source);
};

/** The memory of a training step, from the configuration and the shape alone: nothing is read and nothing is run. */
export function predictStepMemory(
  config: ModelConfig,
  shape: BatchShape,
  sourceOf: (config: ModelConfig) => ParameterSource,
): TrainingMemory {
  const costs = (layers: number): number[] => graphCosts({ ...config, layers }, shape, sourceOf({ ...config, layers }));
  const less = costs(Math.min(few, config.layers));
  const same = config.layers <= few ? less : costs(Math.min(more, config.layers));
  const between = Math.max(1, Math.min(more, config.layers) - few);
  const [intermediateBytes = 0, stateBytes = 0, graphBytes = 0, weightBytes = 0] = less.map((cost, index) => {
    const aLayer = ((same[index] ?? cost) - cost) / between;
    return cost + aLayer * Math.max(0, config.layers - few);
  });
  const residentBytes = processBytes + intermediateBytes + stateBytes + graphBytes + weightBytes;
  return { intermediateBytes, stateBytes, graphBytes, weightBytes, residentBytes };
}

function graphCosts(config: ModelConfig, shape: BatchShape, source: ParameterSource): number[] {
  const graph = buildTrainingGraph(config, shape, source, { clipGradNorm: undefined, weightDecay: 0 });
  const total = (values: Iterable<Parameters<typeof sizeBytes>[0]>): number =>
    [...values].reduce((sum, value) => sum + sizeBytes(value), 0);
  return [
    fragmentation * peakMemoryBytes(graph),
    total(graph.inputs),
    graph.nodes.length * bytesPerNode + total(graph.constants.keys()),
    total(graph.weights.keys()),
  ];
}
