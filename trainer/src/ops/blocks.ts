/** Operators on matrices that are kept as blocks of small integers; nothing differentiates them. */
import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Operator } from '../graph/types.ts';
import { isIndex } from './indexed.ts';
import { inputAt } from './elementwise.ts';

export interface BlockAttributes {
  readonly bits: 4 | 8;
  readonly blockLength: number;
}

const contrib = 'com.microsoft';
/** Rows are rounded to 8-bit blocks before the product, so that all of it is arithmetic of integers. */
const integerProducts = 4;

/**
 * x [rows, in] times the transpose of a matrix with codes [out, in/32, bytes] and scales [out, in/32]. Where its blocks do
 * not lie about zero, offsets [in/32, out] and the sums of x's blocks follow: a block's offset meets all of its values
 * alike, x·Wᵀ = x·(s·q)ᵀ + blockSums(x)·offsets.
 */
export const blockProduct: Operator<BlockAttributes> = {
  types(inputs, { blockLength }) {
    const [x, codes, scales] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const blocks = sizeAt(x, 1) / blockLength;
    const fits = codes.dtype === 'uint8' && sizeAt(codes, 1) === blocks && sizeAt(scales, 1) === blocks;
    if (!fits || sizeAt(codes, 0) !== sizeAt(scales, 0))
      throw new GraphError(`${describe(x)} and blocks ${describe(codes)} have no product`);
    return [{ dtype: 'float32', shape: [sizeAt(x, 0), sizeAt(codes, 0)] }];
  },
  emit(onnx, { inputs, inputTypes, outputs: [output = ''] }, { bits, blockLength }) {
    const [x = '', codes = '', scales = '', offsets, sums] = inputs;
    const [columns, rows] = [sizeAt(inputAt(inputTypes, 0), 1), sizeAt(inputAt(inputTypes, 1), 0)];
    const attributes = { K: columns, N: rows, bits, block_size: blockLength, accuracy_level: integerProducts };
    const product = onnx.node('MatMulNBits', [x, codes, scales], {
      domain: contrib,
      attributes,
      ...(offsets === undefined ? { output } : {}),
    });
    if (offsets !== undefined && sums !== undefined) onnx.node('Gemm', [sums, offsets, product], { output });
  },
};

/** x [rows, in] to the sums of its blocks, [rows, in/32]. */
export const blockSums: Operator<{ blockLength: number }> = {
  types(inputs, { blockLength }) {
    const x = inputAt(inputs, 0);
    return [{ dtype: x.dtype, shape: [sizeAt(x, 0), sizeAt(x, 1) / blockLength] }];
  },
  emit(onnx, { inputs: [x = ''], inputTypes, outputs: [output = ''] }, { blockLength }) {
    const blocks = BigInt(sizeAt(inputAt(inputTypes, 0), 1) / blockLength);
    const cut = onnx.node('Reshape', [x, onnx.constant(BigInt64Array.of(-1n, blocks, BigInt(blockLength)), [3])]);
    onnx.node('ReduceSum', [cut, onnx.constant(BigInt64Array.of(2n), [1])], { output, attributes: { keepdims: 0 } });
  },
};

/** Rows [n, in] of such a matrix by index [n]; its codes are [out, in·bits/8] here. */
export const gatherBlocks: Operator<BlockAttributes> = {
  types(inputs, { bits }) {
    const [codes, indices] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (!isIndex(indices)) throw new GraphError(`${describe(indices)} is no list of indices`);
    return [{ dtype: 'float32', shape: [sizeAt(indices, 0), (sizeAt(codes, 1) * 8) / bits] }];
  },
  emit(onnx, { inputs: [codes = '', indices = '', scales = '', offsets], inputTypes, outputs }, attributes) {
    const { bits, blockLength } = attributes;
    const [output = ''] = outputs;
    const settings = { bits, block_size: blockLength, gather_axis: 0, quantize_axis: 1 };
    const options = { domain: contrib, attributes: settings };
    if (offsets === undefined) {
      onnx.node('GatherBlockQuantized', [codes, indices, scales], { ...options, output });
      return;
    }
    const width = (sizeAt(inputAt(inputTypes, 0), 1) * 8) / bits;
    const shapeOf = (...lengths: number[]): string =>
      onnx.constant(BigInt64Array.from(lengths, BigInt), [lengths.length]);
    const inBlocks = shapeOf(-1, width / blockLength, blockLength);
    const values = onnx.node('Reshape', [
      onnx.node('GatherBlockQuantized', [codes, indices, scales], options),
      inBlocks,
    ]);
    const columns = onnx.node('Gather', [offsets, indices], { attributes: { axis: 1 } }); // [in/32, n]
    const perRow = onnx.node('Transpose', [columns], { attributes: { perm: [1, 0] } });
    const moved = onnx.node('Add', [values, onnx.node('Unsqueeze', [perRow, shapeOf(2)])]);
    onnx.node('Reshape', [moved, shapeOf(-1, width)], { output });
  },
};
