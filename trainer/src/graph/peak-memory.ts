import { describe, elementCount } from './shape.ts';
import type { Graph } from './graph.ts';
import { executionOrder, runtimeOrder } from './schedule.ts';
import type { ElementType, GraphNode, Value } from './types.ts';

const bytesOf: Readonly<Record<ElementType, number>> = {
  float32: 4,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  int4: 0.5,
};
export const sizeBytes = ({ dtype, shape }: Pick<Value, 'dtype' | 'shape'>): number =>
  bytesOf[dtype] * elementCount(shape);

/** These write over an input of the same size that nothing reads afterwards. */
const inPlace: ReadonlySet<string> = new Set(['add', 'sub', 'mul', 'div', 'min', 'sqrt', 'exp']);

/** A piece of memory, which several values take in turn. */
interface Buffer {
  readonly sizeBytes: number;
  /** Element type and shape: a value takes over no buffer that was made for another. */
  readonly kind: string;
  readonly from: number;
  to: number;
}

/**
 * The most bytes that a run of the graph holds in intermediate values, as ONNX Runtime plans them (class PlannerImpl in
 * core/framework/allocation_planner.cc): in its order of nodes a value takes over the buffer of an input, or the buffer
 * of the same shape that was left last, or a new one; a buffer goes when the last value that took it is read no more.
 * Inputs, constants, weights and outputs are not counted: they live outside the run.
 */
export function peakMemoryBytes(graph: Graph): number {
  const outputs = [...graph.outputs.values()];
  const order = runtimeOrder(executionOrder(graph.nodes, outputs));
  const buffers = planBuffers(order, new Set(outputs));
  const changes = new Float64Array(order.length + 1);
  for (const { sizeBytes: size, from, to } of buffers) {
    changes[from] = (changes[from] ?? 0) + size;
    changes[to + 1] = (changes[to + 1] ?? 0) - size;
  }
  let live = 0;
  return changes.reduce((peak, change) => Math.max(peak, (live += change)), 0);
}

function planBuffers(order: readonly GraphNode[], outputs: ReadonlySet<Value>): Buffer[] {
  const lastRead = lastReads(order);
  const bufferOf = new Map<Value, Buffer>();
  const left = new Map<string, Buffer[]>();
  const buffers: Buffer[] = [];
  for (const [step, node] of order.entries()) {
    const ending = new Set(node.inputs.map(sourceOf).filter((value) => lastRead.get(value) === step));
    for (const output of node.outputs) {
      if (sourceOf(output) !== output || outputs.has(output) || !lastRead.has(output)) continue;
      const kind = describe(output);
      const overwritten = inPlace.has(node.operatorName)
        ? node.inputs.find((input) => describe(input) === kind && ending.has(sourceOf(input)))
        : undefined;
      if (overwritten) ending.delete(sourceOf(overwritten));
      const buffer = (overwritten && bufferOf.get(sourceOf(overwritten))) ?? left.get(kind)?.pop();
      const taken = buffer ?? { sizeBytes: sizeBytes(output), kind, from: step, to: step };
      if (!buffer) buffers.push(taken);
      bufferOf.set(output, taken);
    }
    for (const input of node.inputs) {
      const buffer = bufferOf.get(sourceOf(input));
      if (buffer) buffer.to = step;
    }
    for (const value of ending) {
      const buffer = bufferOf.get(value);
      if (buffer) left.set(buffer.kind, [...(left.get(buffer.kind) ?? []), buffer]);
    }
  }
  return buffers;
}

function lastReads(order: readonly GraphNode[]): ReadonlyMap<Value, number> {
  const lastRead = new Map<Value, number>();
  for (const [step, { inputs }] of order.entries()) for (const input of inputs) lastRead.set(sourceOf(input), step);
  return lastRead;
}

/** A reshaped value is the same memory. */
function sourceOf(value: Value): Value {
  let source = value;
  while (source.producer?.operatorName === 'reshape' && source.producer.inputs[0]) source = source.producer.inputs[0];
  return source;
}
