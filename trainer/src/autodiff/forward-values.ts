import type { Graph } from '../graph/graph.ts';
import type { GraphNode, Value } from '../graph/types.ts';

/** What the backward pass reads of the forward pass: values that were kept, and copies of those that were not. */
export class ForwardValues {
  readonly #graph: Graph;
  readonly #copies = new Map<Value, Value>();
  #segment: number | undefined;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /**
   * A forward value, as the gradient of `node` may read it. Values of the checkpointed part that the node lies in are
   * computed again, each once, from what entered the part; nothing is added to the graph before something asks for it,
   * so that each copy stands close to the gradient that needs it. The walk leaves a part before it enters the next.
   */
  read(value: Value, node: GraphNode): Value {
    const segment = this.#graph.segments.get(node);
    if (segment !== this.#segment) this.#copies.clear();
    this.#segment = segment;
    return this.#again(value);
  }

  #again(value: Value): Value {
    const { producer } = value;
    if (!producer) return value;
    const known = this.#copies.get(value);
    if (known) return known;
    const checkpointed = this.#segment !== undefined && this.#graph.segments.get(producer) === this.#segment;
    const recompute = value === producer.outputs[0] ? producer.operator.recompute : undefined;
    if (!checkpointed && !recompute) return value;
    const inputs = producer.inputs.map((input) => this.#again(input));
    const outputs = this.#graph.apply(producer.operatorName, inputs, producer.attributes);
    if (recompute === 'for each reader') return outputs[0];
    // outside a checkpointed part the other outputs were kept
    const copied = checkpointed ? producer.outputs : [value];
    copied.forEach((output, index) => this.#copies.set(output, outputs[index] ?? outputs[0]));
    return this.#copies.get(value) ?? value;
  }
}
