                                                   

/** The nodes that the outputs need, in the order in which they were built. */
export function neededNodes(nodes                      , outputs                 )              {
  const needed = new Set           ();
  for (const { producer } of outputs) if (producer) needed.add(producer);
  for (const node of nodes.toReversed()) {
    if (!needed.has(node)) continue;
    for (const { producer } of node.inputs) if (producer) needed.add(producer);
  }
  return nodes.filter((node) => needed.has(node));
}

/**
 * ONNX Runtime executes a depth-first walk from the outputs that visits, among a node's inputs, the one that stands
 * last in the file first (Graph::ReverseDFSFrom in core/graph/graph.cc). Listing the nodes backwards therefore runs each
 * just before its result is needed: a weight widened again for the backward pass lives for one product, and each chunk
 * of the vocabulary's logits is gone before the next one is made. The runtime does not ask for topological order.
 */
export const fileOrder =       (topological                 )         => topological.toReversed();
