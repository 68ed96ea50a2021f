import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, ValueInfoProtoSchema, type ValueInfoProto } from '@weft/proto/onnx';
import type { Graph } from './graph.ts';
import { OnnxWriter, onnxType } from './onnx-writer.ts';
import { isOpen, openLength } from './shape.ts';
import { executionOrder, fileOrder } from './schedule.ts';
import type { EmitTarget, TensorType, Value } from './types.ts';

const irVersion = 10n;
const opsetVersion = 21n;
const contribDomain = { domain: 'com.microsoft', version: 1n };

/** The graph as an ONNX model. Nodes that no output needs are left out; so are inputs that nothing reads. */
export function serialise(graph: Graph, target: EmitTarget): Uint8Array<ArrayBuffer> {
  const outputs = [...graph.outputs];
  const nodes = executionOrder(graph.nodes, [...graph.outputs.values()]);
  const read = new Set<Value>([...nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.values()]);
  const outputNames = new Map<Value, string>();
  for (const [name, value] of outputs) if (value.producer && !outputNames.has(value)) outputNames.set(value, name);
  const onnx = new OnnxWriter(target);

  const names = new Map<Value, string>();
  const nameOf = (value: Value): string => names.get(value) ?? outputNames.get(value) ?? value.name;
  for (const [value, data] of graph.constants) {
    if (read.has(value)) names.set(value, onnx.constant(data, value.shape));
  }
  for (const [value, data] of graph.weights) if (read.has(value)) onnx.external(value.name, value, data);
  for (const node of nodes) {
    onnx.enter(node.name);
    const call = {
      inputs: node.inputs.map(nameOf),
      outputs: node.outputs.map(nameOf),
      inputTypes: node.inputs,
      outputTypes: node.outputs,
    };
    node.operator.emit(onnx, call, node.attributes);
  }
  // An output that is an input, or the same value under a second name, still needs a node of its own.
  for (const [name, value] of outputs)
    if (nameOf(value) !== name) onnx.node('Identity', [nameOf(value)], { output: name });

  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'weft',
    opsetImport: [{ domain: '', version: opsetVersion }, contribDomain],
    graph: {
      name: 'weft',
      node: fileOrder(onnx.nodes),
      initializer: onnx.initializers,
      input: graph.inputs.filter((input) => read.has(input)).map((input) => toValueInfo(input.name, input)),
      output: outputs.map(([name, value]) => toValueInfo(name, value)),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** Open lengths of the same product are the same length. */
const dimension = (size: number) =>
  isOpen(size)
    ? { case: 'dimParam' as const, value: `rows_${size / openLength}` }
    : { case: 'dimValue' as const, value: BigInt(size) };

const toValueInfo = (name: string, { dtype, shape }: TensorType): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: onnxType[dtype],
          shape: { dim: shape.map((size) => ({ value: dimension(size) })) },
        },
      },
    },
  });
