import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Emitter, Operator } from '../graph/types.ts';
import { rotary as rotated, type RotaryAttributes } from './calls.ts';
import { inputAt, onnxTypeNumber } from './elementwise.ts';
import { ropeFrequencies } from './rope-scaling.ts';

/**
 * Rotary position embedding (Su et al. 2021, equation 34) in the layout of Hugging Face's Llama: coordinate i pairs
 * with i + headDim/2, and position t turns the pair by t·base^(−2i/headDim), or as a scaling bends it.
 */
export const rotary: Operator<RotaryAttributes> = {
  types(inputs) {
    const x = inputAt(inputs, 0); // [batch, heads, seq, headDim]
    if (x.shape.length !== 4 || sizeAt(x, 3) % 2 !== 0) throw new GraphError(`${describe(x)} cannot be rotated`);
    const positions = inputs[1];
    const isEach = positions?.shape.length === 2;
    if (isEach && (sizeAt(positions, 0) !== sizeAt(x, 0) || sizeAt(positions, 1) !== sizeAt(x, 2)))
      throw new GraphError(`positions ${describe(positions)} do not fit ${describe(x)}`);
    return [x];
  },
  emit(onnx, { inputs: [x = '', positions], inputTypes, outputs: [output = ''] }, attributes) {
    const [seq, headDim] = [sizeAt(inputAt(inputTypes, 0), 2), sizeAt(inputAt(inputTypes, 0), 3)];
    const tables = rotationTables(onnx, attributes.positions ?? seq, headDim, attributes);
    if (onnx.target === 'cpu') {
      const first =
        positions === undefined
          ? onnx.constant(BigInt64Array.of(0n), [1])
          : onnx.node('Cast', [positions], { attributes: { to: onnxTypeNumber.int64 } });
      onnx.node('RotaryEmbedding', [x, first, tables.cos, tables.sin], { output, domain: 'com.microsoft' });
      return;
    }
    const isEach = inputTypes[1]?.shape.length === 2;
    const { cos, sin } =
      positions === undefined
        ? tables
        : isEach
          ? rowsAt(onnx, tables, positions)
          : rowsFrom(onnx, tables, positions, seq);
    const [low, high] = [onnx.name(), onnx.name()];
    const halves = onnx.constant(BigInt64Array.of(BigInt(headDim / 2), BigInt(headDim / 2)), [2]);
    onnx.nodeWithOutputs('Split', [x, halves], [low, high], { attributes: { axis: 3 } });
    const times = (a: string, b: string): string => onnx.node('Mul', [a, b]);
    const turnedLow = onnx.node('Sub', [times(low, cos), times(high, sin)]);
    const turnedHigh = onnx.node('Add', [times(high, cos), times(low, sin)]);
    onnx.node('Concat', [turnedLow, turnedHigh], { output, attributes: { axis: 3 } });
  },
  saves: { inputs: [1] },
  /** A rotation's transpose is the rotation by the opposite angle. */
  gradient: ({ delta, input, inputTypes }, attributes) => {
    const positions = inputTypes.length > 1 ? input(1) : undefined;
    if (positions?.shape.length === 1)
      throw new GraphError('a rotation from a given first position has no gradient rule');
    return [() => rotated(delta, { ...attributes, inverse: !attributes.inverse }, positions)];
  },
};

export interface RotationTables {
  readonly cos: string;
  readonly sin: string;
}

/** Rows first … first + seq − 1 of the tables. */
function rowsFrom(onnx: Emitter, { cos, sin }: RotationTables, first: string, seq: number): RotationTables {
  // Counted in float32, since WebGPU adds no int64.
  const counted = onnx.constant(
    Float32Array.from({ length: seq }, (_, step) => step),
    [seq],
  );
  const steps = onnx.node('Cast', [counted], { attributes: { to: onnxTypeNumber.int32 } });
  const rows = onnx.node('Add', [steps, first]);
  const read = (table: string): string => onnx.node('Gather', [table, rows], { attributes: { axis: 0 } });
  return { cos: read(cos), sin: read(sin) };
}

/** The rows of the tables at positions [batch, seq]: [batch, 1, seq, headDim/2]. */
function rowsAt(onnx: Emitter, { cos, sin }: RotationTables, positions: string): RotationTables {
  const axis = onnx.constant(BigInt64Array.of(1n), [1]);
  const read = (table: string): string =>
    onnx.node('Unsqueeze', [onnx.node('Gather', [table, positions], { attributes: { axis: 0 } }), axis]);
  return { cos: read(cos), sin: read(sin) };
}

/** Every layer of a model turns alike. */
const knownTables = new WeakMap<Emitter, Map<string, RotationTables>>();

/** scale·cos and ±scale·sin, each [seq, headDim/2], rounded once from float64. */
export function rotationTables(
  onnx: Emitter,
  seq: number,
  headDim: number,
  { base, scaling, scale, inverse = false }: RotaryAttributes,
): RotationTables {
  const known = knownTables.get(onnx) ?? new Map<string, RotationTables>();
  knownTables.set(onnx, known);
  const key = JSON.stringify([seq, headDim, base, scaling, scale, inverse]);
  const found = known.get(key);
  if (found) return found;
  const half = headDim / 2;
  const { perPosition, amplitude } = ropeFrequencies(headDim, base, scaling);
  const angle = (index: number): number => Math.floor(index / half) * (perPosition[index % half] ?? 0);
  const table = (entry: (angle: number) => number): string =>
    onnx.constant(
      Float32Array.from({ length: seq * half }, (_, index) => scale * amplitude * entry(angle(index))),
      [seq, half],
    );
  const tables = { cos: table(Math.cos), sin: table((radians) => (inverse ? -Math.sin(radians) : Math.sin(radians))) };
  known.set(key, tables);
  return tables;
}
