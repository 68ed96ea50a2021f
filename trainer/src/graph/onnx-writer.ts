import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from '@weft/proto/onnx';
import type { ConstantData, ExternalData } from './graph.ts';
import type { ElementType, EmitTarget, Emitter, OnnxAttribute, OnnxNodeOptions, TensorType } from './types.ts';

export const onnxType: Readonly<Record<ElementType, DataType>> = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  uint8: DataType.UINT8,
  int32: DataType.INT32,
  int64: DataType.INT64,
  int8: DataType.INT8,
  int4: DataType.INT4,
};

/** Collects the ONNX nodes and initializers of one model. */
export class OnnxWriter implements Emitter {
  readonly target: EmitTarget;
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #constants = new Map<string, string>();
  readonly #shared = new Map<string, unknown>();
  #scope = '';
  #nextId = 0;

  constructor(target: EmitTarget) {
    this.target = target;
  }

  /** What the nodes that follow are named after. */
  enter(scope: string): void {
    this.#scope = scope;
  }

  name(): string {
    return `${this.#scope}#${this.#nextId++}`;
  }

  node(opType: string, inputs: readonly string[], options: OnnxNodeOptions = {}): string {
    const output = options.output ?? this.name();
    this.nodeWithOutputs(opType, inputs, [output], options);
    return output;
  }

  nodeWithOutputs(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    options: OnnxNodeOptions = {},
  ): void {
    this.nodes.push(
      create(NodeProtoSchema, {
        name: `${this.#scope}#${this.#nextId++}.${opType}`,
        opType,
        domain: options.domain ?? '',
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(options.attributes ?? {}).map(([name, value]) => toAttribute(name, value)),
      }),
    );
  }

  shared<T>(key: string, emit: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, emit());
    return this.#shared.get(key) as T;
  }

  constant(data: ConstantData | Uint8Array, shape: readonly number[]): string {
    const dtype = elementTypeOf(data);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype}[${shape.join()}]${createHash('sha256').update(bytes).digest('base64')}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = `initializer#${this.#constants.size}`;
      this.#constants.set(key, name);
      this.#initializer(name, { dtype, shape }, { rawData: bytes });
    }
    return name;
  }

  external(name: string, type: TensorType, { location, offset, sizeBytes }: ExternalData): void {
    this.#initializer(name, type, {
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: location },
        { key: 'offset', value: String(offset) },
        { key: 'length', value: String(sizeBytes) },
      ],
    });
  }

  #initializer(name: string, { dtype, shape }: TensorType, content: TensorContent): void {
    this.initializers.push(
      create(TensorProtoSchema, { name, dataType: onnxType[dtype], dims: shape.map(BigInt), ...content }),
    );
  }
}

function elementTypeOf(data: ConstantData | Uint8Array): ElementType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof BigInt64Array) return 'int64';
  return data instanceof Int8Array ? 'int8' : 'uint8';
}

type TensorContent =
  | { rawData: Uint8Array }
  | { dataLocation: DataLocation; externalData: { key: string; value: string }[] };

function toAttribute(name: string, value: OnnxAttribute): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}
