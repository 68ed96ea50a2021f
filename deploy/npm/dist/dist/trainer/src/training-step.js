import { differentiate } from './autodiff/differentiate.js';
                                              
import { serialise } from './graph/serialise.js';
                                                          
import { batchInputs, causalLmLoss } from './objectives/causal-lm.js';
import {                  buildLlama, headWeight,                      } from './models/llama.js';
                                                     
import { createGraph } from './ops/table.js';
import { applyAdamw,                   } from './optim/adamw.js';

/** Forward pass, loss, backward pass, AdamW: one training step as one ONNX model. */
export function buildTrainingStep(
  config             ,
  shape            ,
  source                 ,
  optimizer              ,
  target            ,
)                          {
  const graph = createGraph();
  const { loss, trained } = buildLoss(graph, config, shape, source);
  const gradients = differentiate(graph, loss, [...trained.values()]);
  graph.scope('adamw', () => applyAdamw(graph, trained, gradients, optimizer));
  return serialise(graph, target);
}

/** The forward pass and the loss alone. */
export function buildEvaluation(
  config             ,
  shape            ,
  source                 ,
  target            ,
)                          {
  const graph = createGraph();
  buildLoss(graph, config, shape, source);
  return serialise(graph, target);
}

/** The loss of a batch, also as the output `loss`. */
export function buildLoss(
  graph       ,
  config             ,
  shape            ,
  source                 ,
)                                                       {
  const { inputIds, targets, rowWeights } = batchInputs(graph, shape.batchSize * shape.sequenceLength);
  const parameters = source.parametersIn(graph);
  const hidden = buildLlama(graph, config, shape, inputIds, parameters);
  const loss = graph.scope('loss', () => causalLmLoss(hidden, headWeight(config, parameters), targets, rowWeights));
  graph.output('loss', loss);
  return { loss, trained: parameters.trained };
}
