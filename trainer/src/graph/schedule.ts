import type { GraphNode, Value } from './types.ts';

/** The nodes that the outputs need, in the order in which they were built. */
export function neededNodes(nodes: readonly GraphNode[], outputs: Iterable<Value>): GraphNode[] {
  const needed = new Set<GraphNode>();
  for (const { producer } of outputs) if (producer) needed.add(producer);
  for (const node of nodes.toReversed()) {
    if (!needed.has(node)) continue;
    for (const { producer } of node.inputs) if (producer) needed.add(producer);
  }
  return nodes.filter((node) => needed.has(node));
}

/**
 * The needed nodes in an order of execution: what the last output needs, then what the one before it needs beyond that,
 * and so on; each part as it was built. A training step declares its loss first, so that the loss is summed up last,
 * from parts that the backward pass has left behind, instead of driving the whole forward pass ahead of it.
 */
export function executionOrder(nodes: readonly GraphNode[], outputs: readonly Value[]): GraphNode[] {
  const listed = new Set<GraphNode>();
  for (const output of outputs.toReversed()) for (const node of neededNodes(nodes, [output])) listed.add(node);
  return [...listed];
}

/**
 * ONNX Runtime walks depth-first back from the last nodes, and takes next, among the nodes it could take, the one that
 * stands last in the file (Graph::ReverseDFSFrom in core/graph/graph.cc). Listed backwards, each node runs just before
 * its result is needed: a weight widened again for the backward pass lives for one product, and each chunk of the
 * vocabulary's logits is gone before the next one is made. The runtime does not ask for topological order.
 */
export const fileOrder = <Node>(inExecutionOrder: readonly Node[]): Node[] => inExecutionOrder.toReversed();
