import { differentiate } from './autodiff/differentiate.ts';
import type { Graph } from './graph/graph.ts';
import { serialise } from './graph/serialise.ts';
import type { EmitTarget, Value } from './graph/types.ts';
import { batchInputs, causalLmLoss } from './objectives/causal-lm.ts';
import { type BatchShape, buildLlama, type ParameterSource, vocabularyHead } from './models/llama.ts';
import { type Precision, productTypes } from './devices/precision.ts';
import type { ModelConfig } from './models/model.ts';
import { segmentInputs } from './models/segments.ts';
import { createGraph, operators } from './ops/table.ts';
import { applyAdamw, type AdamwOptions } from './optim/adamw.ts';
import { LossScale } from './optim/loss-scale.ts';

/** Forward pass, loss, backward pass, AdamW: one training step as one ONNX model. */
export const buildTrainingStep = (
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  optimizer: AdamwOptions,
  target: EmitTarget,
  precision: Precision = 'fp32',
): Uint8Array<ArrayBuffer> => serialise(buildTrainingGraph(config, shape, source, optimizer, precision), target);

export function buildTrainingGraph(
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  optimizer: AdamwOptions,
  precision: Precision = 'fp32',
): Graph {
  const graph = createGraph(operators, productTypes[precision]);
  const { loss, trained } = buildLoss(graph, config, shape, source);
  const lossScale = scalesLoss(precision) ? new LossScale(graph) : undefined;
  const scaled = differentiate(graph, loss, [...trained.values()], lossScale?.scale);
  graph.scope('adamw', () => {
    const gradients = lossScale?.unscale(scaled) ?? scaled;
    const norm = applyAdamw(graph, trained, gradients, { ...optimizer, skipsNonFinite: lossScale !== undefined });
    lossScale?.update(norm);
  });
  return graph;
}

/** float16 reaches no further down than 6e-8; bfloat16 has the range of float32. */
export const scalesLoss = (precision: Precision): boolean => precision === 'fp16';

/** The forward pass and the loss alone. */
export function buildEvaluation(
  config: ModelConfig,
  shape: BatchShape,
  source: ParameterSource,
  target: EmitTarget,
  precision: Precision = 'fp32',
): Uint8Array<ArrayBuffer> {
  const graph = createGraph(operators, productTypes[precision]);
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
