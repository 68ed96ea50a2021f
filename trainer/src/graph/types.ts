/**
 * What a tensor in a graph may hold. float16 and bfloat16 occur as frozen weights and as what products multiply, uint8 as
 * codes of weights in blocks, int8 and int4 as levels of quantised weights. Indices that enter a graph are int32 where
 * WebGPU must run it: it reshapes and splits no int64.
 */
export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'uint8' | 'int8' | 'int4' | 'int32' | 'int64';

/** What a graph's products multiply: ops/mixed-precision.ts. */
export type ProductType = Extract<ElementType, 'float32' | 'float16' | 'bfloat16'>;

export interface TensorType {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
}

/** One tensor of a graph. Every dimension is known when the graph is built. */
export interface Value extends TensorType {
  readonly name: string;
  readonly graph: Builder;
  /** Undefined for inputs, constants and weights. */
  readonly producer: GraphNode | undefined;
}

/** One application of an operator. */
export interface GraphNode {
  readonly name: string;
  readonly operatorName: string;
  readonly operator: Operator;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: unknown;
}

/** What operator calls and gradient rules need of a graph. */
export interface Builder {
  readonly productType: ProductType;
  apply(operatorName: string, inputs: readonly Value[], attributes?: unknown): readonly [Value, ...Value[]];
  constant(data: Float32Array | BigInt64Array | Int8Array, shape: readonly number[]): Value;
}

/** A row of the operator table. */
export interface Operator<Attributes = unknown> {
  /** Static shape rule: the types of the outputs; throws GraphError where the inputs do not fit. */
  types(inputs: readonly TensorType[], attributes: Attributes): readonly TensorType[];
  /** Writes the operator as ONNX nodes. */
  emit(onnx: Emitter, call: EmittedCall, attributes: Attributes): void;
  /** Which forward values the gradient rule reads, by position; the walk withholds all others. */
  readonly saves?: { readonly inputs?: readonly number[]; readonly outputs?: readonly number[] };
  /**
   * For each input a function that adds its gradient to the graph, called only where that gradient is needed. A result
   * may still have the broadcast shape: the walk sums it down. Without a rule the operator cannot be differentiated.
   */
  gradient?(context: GradientContext, attributes: Attributes): readonly (() => Value)[];
  /**
   * Its first output is cheap and large: the backward pass computes it again rather than keep it from the forward pass,
   * once, or for each of its readers where even that would be kept too long.
   */
  readonly recompute?: 'once' | 'for each reader';
}

export type OperatorTable = Readonly<Record<string, Operator>>;

export interface GradientContext {
  /** A saved input; throws when `saves` does not declare it. */
  readonly input: (index: number) => Value;
  /** A saved output; throws when `saves` does not declare it. */
  readonly output: (index: number) => Value;
  /** Gradient of the loss with respect to the first output. */
  readonly delta: Value;
  /** The same for output `index`, zeros where the loss does not depend on it. */
  readonly deltaOf: (index: number) => Value;
  readonly inputTypes: readonly TensorType[];
}

/** Names of the ONNX values that an operator reads and must produce. */
export interface EmittedCall {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
}

/** Integers, floats (marked, since JavaScript has one kind of number), lists of integers, strings. */
export type OnnxAttribute = number | { readonly float: number } | readonly number[] | string;

/**
 * Which kernels may be used: `cpu` has ONNX Runtime's own fused ones, `portable` is standard ONNX that every execution
 * provider runs.
 */
export type EmitTarget = 'cpu' | 'portable';

export interface Emitter {
  readonly target: EmitTarget;
  /** Adds an ONNX node with one output and returns that output's name, which is `output` when given. */
  node(opType: string, inputs: readonly string[], options?: OnnxNodeOptions): string;
  /** The same for several outputs, all named by the caller. */
  nodeWithOutputs(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    options?: OnnxNodeOptions,
  ): void;
  /** What `emit` gives, from nodes that are added at the first call with this key. */
  shared<T>(key: string, emit: () => T): T;
  /** A fresh value name. */
  name(): string;
  /** An initializer; equal data of equal shape is stored once. */
  constant(data: Float32Array | BigInt64Array | Uint8Array, shape: readonly number[]): string;
}

export interface OnnxNodeOptions {
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: string;
  readonly output?: string;
}
