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

/** The order in which ONNX Runtime runs nodes that are listed in file order, by the walk that `fileOrder` describes. */
export function runtimeOrder(inExecutionOrder: readonly GraphNode[]): GraphNode[] {
  const file = fileOrder(inExecutionOrder);
  const position = new Map(file.map((node, index) => [node, index]));
  const at = (node: GraphNode): number => position.get(node) ?? 0;
  const producers = ({ inputs }: GraphNode): GraphNode[] =>
    [...new Set(inputs.flatMap(({ producer }) => producer ?? []))].toSorted((a, b) => at(a) - at(b));
  const read = new Set(file.flatMap(producers));
  const seen = new Set<GraphNode>();
  const order: GraphNode[] = [];
  const stack = file.filter((node) => !read.has(node)).map((node) => ({ node, left: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, left } = top;
    if (left) order.push(node);
    if (left || seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, left: true });
    for (const producer of producers(node)) if (!seen.has(producer)) stack.push({ node: producer, left: false });
  }
  return order;
}
