import { GraphError, elementCount } from './shape.ts';
import type { Builder, ElementType, GraphNode, OperatorTable, ProductType, TensorType, Value } from './types.ts';

/** Where a frozen weight's bytes lie. `location` is relative to the folder that the session is told. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

export type ConstantData = Float32Array | BigInt64Array | Int8Array;

/** A computation with static shapes, built node by node in an order that is already topological. */
export class Graph implements Builder {
  readonly nodes: GraphNode[] = [];
  readonly inputs: Value[] = [];
  readonly constants = new Map<Value, ConstantData>();
  readonly weights = new Map<Value, ExternalData>();
  readonly outputs = new Map<string, Value>();
  /** The checkpointed part that a node belongs to. */
  readonly segments = new Map<GraphNode, number>();
  readonly productType: ProductType;
  readonly #operators: OperatorTable;
  readonly #constantsByContent = new Map<string, Value>();
  readonly #scopes: string[] = [];
  #nextId = 0;
  #segment: number | undefined;

  constructor(operators: OperatorTable, productType: ProductType = 'float32') {
    this.#operators = operators;
    this.productType = productType;
  }

  input(name: string, dtype: ElementType, shape: readonly number[]): Value {
    const value = this.#value(name, { dtype, shape }, undefined);
    this.inputs.push(value);
    return value;
  }

  weight(name: string, type: TensorType, data: ExternalData): Value {
    const value = this.#value(name, type, undefined);
    this.weights.set(value, data);
    return value;
  }

  constant(data: ConstantData, shape: readonly number[]): Value {
    if (data.length !== elementCount(shape)) {
      throw new GraphError(`a constant of ${data.length} values cannot have shape [${shape.join(', ')}]`);
    }
    const dtype = data instanceof Float32Array ? 'float32' : data instanceof Int8Array ? 'int8' : 'int64';
    const key = data.length <= 8 ? `${dtype} [${shape.join()}] ${data.join()}` : undefined;
    const known = key === undefined ? undefined : this.#constantsByContent.get(key);
    if (known) return known;
    const value = this.#value(`constant_${this.#nextId++}`, { dtype, shape }, undefined);
    this.constants.set(value, data);
    if (key !== undefined) this.#constantsByContent.set(key, value);
    return value;
  }

  apply(operatorName: string, inputs: readonly Value[], attributes: unknown = {}): readonly [Value, ...Value[]] {
    const operator = this.#operators[operatorName];
    if (!operator) throw new GraphError(`there is no operator ${operatorName}`);
    const name = [...this.#scopes, `${operatorName}_${this.#nextId++}`].join('/');
    const outputs: Value[] = [];
    const node: GraphNode = { name, operatorName, operator, inputs, outputs, attributes };
    let types: readonly TensorType[];
    try {
      types = operator.types(inputs, attributes);
    } catch (cause) {
      throw new GraphError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    types.forEach((type, index) => outputs.push(this.#value(index === 0 ? name : `${name}:${index}`, type, node)));
    const [first, ...rest] = outputs;
    if (!first) throw new GraphError(`${name} has no output`);
    this.nodes.push(node);
    if (this.#segment !== undefined) this.segments.set(node, this.#segment);
    return [first, ...rest];
  }

  output(name: string, value: Value): void {
    this.outputs.set(name, value);
  }

  /** Names what `build` adds: nodes are called `scope/operator_number`. */
  scope<T>(name: string, build: () => T): T {
    this.#scopes.push(name);
    try {
      return build();
    } finally {
      this.#scopes.pop();
    }
  }

  /**
   * What `build` adds is not kept for the backward pass, which computes it again from what entered (Chen et al. 2016,
   * "Training deep nets with sublinear memory cost"). A part inside a part belongs to the outer one.
   */
  checkpoint<T>(build: () => T): T {
    if (this.#segment !== undefined) return build();
    this.#segment = this.nodes.length;
    try {
      return build();
    } finally {
      this.#segment = undefined;
    }
  }

  #value(name: string, { dtype, shape }: TensorType, producer: GraphNode | undefined): Value {
    return { name, dtype, shape, graph: this, producer };
  }
}
