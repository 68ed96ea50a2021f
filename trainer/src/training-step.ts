import { differentiate } from './autodiff/differentiate.ts';
import type { Graph } from './graph/graph.ts';
import { serialise } from './graph/serialise.ts';
import type { EmitTarget, Value } from './graph/types.ts';
import { batchInputs, causalLmLoss } from './objectives/causal-lm.ts';
import { type BatchShape, buildLlama, type ParameterSource, vocabularyHead } from './models/llama.ts';
import type { ModelConfig } from './models/model.ts';
import { segmentInputs } from './models/segments.ts';
import { createGraph } from './ops/table.ts';
import { applyAdamw, type AdamwOptions } from './optim/adamw.ts';

/** Forward pass, loss, backward pass, AdamW: one training step as one ONNX model. */
export function buildTrainingStep(
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  optimizer: AdamwOptions,
  target: EmitTarget,
): Uint8Array<ArrayBuffer> {
  return serialise(buildTrainingGraph(config, shape, source, optimizer), target);
}

export function buildTrainingGraph(
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  optimizer: AdamwOptions,
): Graph {
  const graph = createGraph();
  const { loss, trained } = buildLoss(graph, config, shape, source);
  const gradients = differentiate(graph, loss, [...trained.values()]);
  graph.scope('adamw', () => applyAdamw(graph, trained, gradients, optimizer));
  return graph;
}

/** The forward pass and the loss alone. */
export function buildEvaluation(
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  target: EmitTarget,
): Uint8Array<ArrayBuffer> {
  const graph = createGraph();
  buildLoss(graph, config, shape, source);
  return serialise(graph, target);
}

/** The loss of a batch, also as the output `loss`. */
export function buildLoss(
  graph: Graph,
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
): { loss: Value; trained: ReadonlyMap<string, Value> } {
  const { inputIds, targets, rowWeights } = batchInputs(graph, shape.batchSize * shape.sequenceLength);
  const parameters = source.parametersIn(graph);
  const segments = shape.isPacked ? segmentInputs(graph, shape) : undefined;
  const hidden = buildLlama(graph, config, shape, inputIds, parameters, undefined, segments);
  const loss = graph.scope('loss', () => causalLmLoss(hidden, vocabularyHead(config, parameters), targets, rowWeights));
  graph.output('loss', loss);
  return { loss, trained: parameters.trained };
}
