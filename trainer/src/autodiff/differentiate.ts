import { WeftError } from '@weft/shared';
import { GraphError, broadcastAxes, elementCount, sameShape } from '../graph/shape.ts';
import type { Graph } from '../graph/graph.ts';
import type { GradientContext, GraphNode, Value } from '../graph/types.ts';
import { add, reshape, scalar, sum } from '../ops/calls.ts';
import { ForwardValues } from './forward-values.ts';

/** Adds to the graph the gradients of a scalar, times `scale`, with respect to some of the values that it depends on. */
export function differentiate(
  graph: Graph,
  loss: Value,
  wanted: readonly Value[],
  scale: Value = scalar(loss, 1),
): Value[] {
  if (loss.shape.length !== 0) throw new GraphError(`${loss.name} is not a scalar`);
  return pullback(graph, new Map([[loss, scale]]), wanted);
}

/**
 * The reverse walk: from the gradients of some values to those of values they depend on. Last node first, one visit
 * each; only the gradients that lead to a wanted value are built, so a frozen weight never gets one.
 */
export function pullback(graph: Graph, seeds: ReadonlyMap<Value, Value>, wanted: readonly Value[]): Value[] {
  const nodes = [...graph.nodes];
  const active = dependents(nodes, wanted);
  const gradients = new Map(seeds);
  const forward = new ForwardValues(graph);
  for (const node of nodes.toReversed()) {
    const needed = node.inputs.map((input) => active.has(input));
    if (!needed.includes(true) || !node.outputs.some((output) => gradients.has(output))) continue;
    graph.scope(`${node.name}.gradient`, () => {
      const rules = gradientRules(node, gradients, forward);
      for (const [index, input] of node.inputs.entries()) {
        if (!needed[index]) continue;
        const rule = rules[index];
        if (!rule) throw missingRule(node, `input ${index}`);
        const gradient = unbroadcast(rule(), input);
        const known = gradients.get(input);
        gradients.set(input, known ? add(known, gradient) : gradient);
      }
    });
  }
  return wanted.map((value) => gradients.get(value) ?? zeros(value));
}

/** Everything that depends on `sources`, themselves included. */
function dependents(nodes: readonly GraphNode[], sources: readonly Value[]): Set<Value> {
  const found = new Set(sources);
  for (const node of nodes) {
    if (node.inputs.some((input) => found.has(input))) for (const output of node.outputs) found.add(output);
  }
  return found;
}

function gradientRules(
  node: GraphNode,
  gradients: ReadonlyMap<Value, Value>,
  forward: ForwardValues,
): readonly (() => Value)[] {
  const { operator, inputs, outputs, attributes } = node;
  if (!operator.gradient) throw missingRule(node, 'it');
  const deltaOf = (index: number): Value => {
    const output = at(node, outputs, index);
    return gradients.get(output) ?? zeros(output);
  };
  const context: GradientContext = {
    input: (index) => forward.read(saved(node, inputs, operator.saves?.inputs, index), node),
    output: (index) => forward.read(saved(node, outputs, operator.saves?.outputs, index), node),
    deltaOf,
    get delta() {
      return deltaOf(0);
    },
    inputTypes: inputs,
  };
  return operator.gradient(context, attributes);
}

function saved(node: GraphNode, values: readonly Value[], declared: readonly number[] = [], index: number): Value {
  if (!declared.includes(index))
    throw new GraphError(`${node.name}: its gradient rule reads a value that it does not save`);
  return at(node, values, index);
}

/** Back from a broadcast shape to the value's own: the sum over what was repeated. */
function unbroadcast(gradient: Value, value: Value): Value {
  if (sameShape(gradient.shape, value.shape)) return gradient;
  const summed = sum(gradient, broadcastAxes(gradient.shape, value.shape));
  return sameShape(summed.shape, value.shape) ? summed : reshape(summed, value.shape);
}

const zeros = (value: Value): Value => value.graph.constant(new Float32Array(elementCount(value.shape)), value.shape);

function at(node: GraphNode, values: readonly Value[], index: number): Value {
  const value = values[index];
  if (!value) throw new GraphError(`${node.name} has no value ${index}`);
  return value;
}

const missingRule = (node: GraphNode, what: string): WeftError =>
  new WeftError(
    'WEFT_TRAINING_NO_GRADIENT',
    `operator ${node.operatorName} has no gradient rule for ${what}, and node ${node.name} stands between the loss and what is trained`,
    { operator: node.operatorName, node: node.name },
  );
