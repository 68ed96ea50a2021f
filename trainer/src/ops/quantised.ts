/** Products with frozen weights of few bits. */
import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Emitter, Operator, TensorType } from '../graph/types.ts';
import { quantisedProduct as product, type QuantisedProductAttributes, type RowLevels } from './calls.ts';
import { inputAt } from './elementwise.ts';
import { isIndex } from './indexed.ts';

export const quantisedProduct: Operator<QuantisedProductAttributes> = {
  types(inputs) {
    const [x, weight, scales] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const fits =
      weight.dtype === 'int8' && sizeAt(x, 1) === sizeAt(weight, 0) && sizeAt(scales, 0) === sizeAt(weight, 1);
    if (!fits) throw new GraphError(`${describe(x)} and levels ${describe(weight)} have no product`);
    return [{ dtype: 'float32', shape: [sizeAt(x, 0), sizeAt(weight, 1)] }];
  },
  /**
   * Summed in int32. MatMulIntegerToFloat multiplies by the columns' scales as it stores and takes no rows' scales. The
   * outliers' channels are zero among the levels; their part of the sum is a product in float32, of a few channels.
   */
  emit(onnx, { inputs: [x = '', weight = '', scales = ''], inputTypes, outputs: [output = ''] }, { rows }) {
    const type = inputAt(inputTypes, 0);
    const { levels, rowScales, outliers } = onnx.shared(`${x} ${JSON.stringify(rows)}`, () =>
      emitRowLevels(onnx, x, type, rows),
    );
    const one = onnx.constant(Float32Array.of(1), [1]);
    const zeroPoint = onnx.constant(Uint8Array.of(zeroPointOf(rows)), [1]);
    const sums = onnx.node('MatMulIntegerToFloat', [levels, weight, one, scales, zeroPoint], contrib);
    if (outliers === undefined) {
      onnx.node('Mul', [sums, rowScales], { output });
      return;
    }
    const product = onnx.node('Mul', [sums, rowScales]);
    const chosen = onnx.node('Gather', [weight, outliers.channels], { attributes: { axis: 0 } });
    const widened = onnx.node('DequantizeLinear', [chosen, scales], { attributes: { axis: 1 } }); // [outliers, m]
    onnx.node('Gemm', [outliers.values, widened, product], { output });
  },
  saves: { inputs: [3, 4] },
  /** dX = δ·W, δ quantised as X was: rounding is passed over as the identity (Bengio et al. 2013, section 4). */
  gradient({ input, delta }, { gradient }) {
    if (!gradient) throw new GraphError('this product was built without the weight that its gradient needs');
    return [() => product(delta, { levels: input(3), scales: input(4) }, { rows: gradient })];
  },
};

const contrib = { domain: 'com.microsoft' };
/** Keeps a row of zeros from dividing by zero. */
const smallestScale = 1e-30;
/** Rows that are looked at to find the channels of outliers: they are the same ones in every row. */
const sampledRows = 64;

const zeroPointOf = ({ range, unsigned }: RowLevels): number => (unsigned ? 0 : range + 1);

interface EmittedLevels {
  /** uint8 [n, k] around the zero point, and the scale of each row [n, 1]. */
  readonly levels: string;
  readonly rowScales: string;
  /** Indices [outliers], and the values of those channels [n, outliers]. */
  readonly outliers: { readonly channels: string; readonly values: string } | undefined;
}

/** scale = max|x| / range, level = round(x / scale) + zero point: dynamic, one scale for each row. */
function emitRowLevels(onnx: Emitter, x: string, type: TensorType, rows: RowLevels): EmittedLevels {
  const count = sizeAt(type, 0);
  const outliers = rows.outliers > 0 ? emitOutliers(onnx, x, type, rows.outliers) : undefined;
  const rest = outliers?.rest ?? x;
  const largest = emitLargest(onnx, rest, 1, rows.unsigned); // [n, 1]
  const scaled = onnx.node('Mul', [largest, onnx.constant(Float32Array.of(1 / rows.range), [])]);
  const rowScales = onnx.node('Max', [scaled, onnx.constant(Float32Array.of(smallestScale), [])]);
  const perRow = onnx.node('Reshape', [rowScales, onnx.constant(BigInt64Array.of(BigInt(count)), [1])]); // [n]
  const zeroPoints = onnx.constant(new Uint8Array(count).fill(zeroPointOf(rows)), [count]);
  const levels = onnx.node('QuantizeLinear', [rest, perRow, zeroPoints], { attributes: { axis: 0 } });
  return { levels, rowScales, outliers };
}

/** Two reductions that the runtime makes in one pass each are quicker than one over a copy of magnitudes. */
function emitLargest(onnx: Emitter, x: string, axis: number, unsigned: boolean): string {
  const reduce = (opType: string): string =>
    onnx.node(opType, [x, onnx.constant(BigInt64Array.of(BigInt(axis)), [1])], { attributes: { keepdims: axis } });
  return unsigned
    ? reduce('ReduceMax')
    : onnx.node('Max', [reduce('ReduceMax'), onnx.node('Neg', [reduce('ReduceMin')])]);
}

/** The channels with the largest values (Dettmers et al. 2022, section 3.2), and the rows with zeros in their place. */
function emitOutliers(onnx: Emitter, x: string, type: TensorType, wanted: number) {
  const [count, channelCount] = [sizeAt(type, 0), sizeAt(type, 1)];
  const vector = (value: number): string => onnx.constant(BigInt64Array.of(BigInt(value)), [1]);
  const step = Math.max(1, Math.floor(count / sampledRows));
  const sample = onnx.node('Slice', [x, vector(0), vector(count), vector(0), vector(step)]);
  const [largest, channels] = [onnx.name(), onnx.name()];
  onnx.nodeWithOutputs('TopK', [emitLargest(onnx, sample, 0, false), vector(wanted)], [largest, channels]);
  const values = onnx.node('Gather', [x, channels], { attributes: { axis: 1 } });
  const ones = onnx.constant(new Float32Array(channelCount).fill(1), [channelCount]);
  const kept = onnx.node('ScatterElements', [ones, channels, onnx.constant(new Float32Array(wanted), [wanted])]);
  return { channels, values, rest: onnx.node('Mul', [x, kept]) };
}

export const gatherQuantised: Operator<{ axis: 0 | 1 }> = {
  types(inputs, { axis }) {
    const [levels, indices] = [inputAt(inputs, 0), inputAt(inputs, 2)];
    if (levels.dtype !== 'int8' || !isIndex(indices)) {
      throw new GraphError(`${describe(indices)} cannot choose among ${describe(levels)}`);
    }
    return [{ dtype: 'float32', shape: [sizeAt(indices, 0), sizeAt(levels, 1 - axis)] }];
  },
  emit(onnx, { inputs: [levels = '', scales = '', indices = ''], outputs: [output = ''] }, { axis }) {
    const chosen = onnx.node('Gather', [levels, indices], { attributes: { axis } });
    if (axis === 0) {
      onnx.node('DequantizeLinear', [chosen, scales], { output, attributes: { axis: 1 } });
      return;
    }
    // Each chosen column has a scale of its own.
    const perColumn = onnx.node('Gather', [scales, indices], { attributes: { axis: 0 } }); // [n]
    const values = onnx.node('DequantizeLinear', [chosen, perColumn], { attributes: { axis: 1 } }); // [width, n]
    onnx.node('Transpose', [values], { output, attributes: { perm: [1, 0] } });
  },
};

/** Widens a frozen weight; like a cast it has no gradient, and the copy is not kept for the backward pass. */
export const dequantiseBlocks: Operator = {
  types(inputs): TensorType[] {
    const [levels, scales] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (levels.dtype !== 'int4' || sizeAt(levels, 1) % sizeAt(scales, 1) !== 0) {
      throw new GraphError(`scales ${describe(scales)} do not fit ${describe(levels)}`);
    }
    return [{ dtype: 'float32', shape: levels.shape }];
  },
  emit(onnx, { inputs, inputTypes, outputs: [output = ''] }) {
    const blockSize = sizeAt(inputAt(inputTypes, 0), 1) / sizeAt(inputAt(inputTypes, 1), 1);
    onnx.node('DequantizeLinear', inputs, { output, attributes: { axis: 1, block_size: blockSize } });
  },
  recompute: 'for each reader',
};
