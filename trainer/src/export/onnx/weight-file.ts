import { WeftError } from '@weft/shared';
import type { ExternalData } from '../../graph/graph.ts';
import { elementCount } from '../../graph/shape.ts';
import type { ModelConfig } from '../../models/model.ts';
import { weightShapes } from '../../models/weight-shapes.ts';
import { writeFileAtomically } from '../../weights/atomic-file.ts';
import { bytesPerElement } from '../../weights/half.ts';
import type { TensorRef } from '../../weights/tensor-ref.ts';
import { type MergedRows, narrowed } from '../merge-weights.ts';

export type OnnxDtype = 'F32' | 'F16';

/** A weight in the file of weights. */
export interface PlacedWeight extends ExternalData {
  readonly name: string;
  readonly dtype: OnnxDtype;
  /** As it stands in the file: [in, out] for a linear layer, [vocab, hidden] for the embedding. */
  readonly shape: readonly number[];
  /** The file has the columns of the Hugging Face weight as rows. */
  readonly transposed: boolean;
}

/** What ONNX asks of offsets, so that a runtime can map the file (onnx.proto, external_data). */
const alignmentBytes = 4096;
/** Values that are transposed at a time: 4 MiB as float32. */
const pieceElements = 1024 * 1024;

/** Where every weight lies. Linear weights are [in, out], since that is what MatMul and the quantisers for it take. */
export function placeWeights(config: ModelConfig, location: string, dtype: OnnxDtype): Map<string, PlacedWeight> {
  const placed = new Map<string, PlacedWeight>();
  let end = 0;
  for (const [name, shape] of weightShapes(config)) {
    const transposed = shape.length === 2 && name !== 'model.embed_tokens.weight';
    // Gains and biases are small, and kept as they are.
    const type = shape.length === 1 ? 'F32' : dtype;
    const offset = Math.ceil(end / alignmentBytes) * alignmentBytes;
    const sizeBytes = elementCount(shape) * bytesPerElement[type];
    const onnxShape = transposed ? shape.toReversed() : shape;
    placed.set(name, { name, dtype: type, shape: onnxShape, transposed, location, offset, sizeBytes });
    end = offset + sizeBytes;
  }
  return placed;
}

interface WriteWeightsOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Writes the file of weights; memory holds one tensor at most. */
export async function writeWeights(
  path: string,
  placed: ReadonlyMap<string, PlacedWeight>,
  tensors: ReadonlyMap<string, TensorRef>,
  rows: MergedRows,
  { signal, onBytes }: WriteWeightsOptions = {},
): Promise<void> {
  await writeFileAtomically(path, async (handle) => {
    let end = 0;
    for (const { name, dtype, offset, sizeBytes, transposed } of placed.values()) {
      const ref = tensors.get(name);
      if (!ref) throw new WeftError('WEFT_INTERNAL', `the model has no tensor ${name}`);
      await handle.writeFile(new Uint8Array(offset - end));
      const pieces = transposed ? transposedPieces(ref, rows) : rows(ref);
      let written = 0;
      for await (const values of pieces) {
        signal?.throwIfAborted();
        const bytes = narrowed(name, values, dtype);
        await handle.writeFile(bytes);
        onBytes?.(bytes.length);
        written += bytes.length;
      }
      if (written !== sizeBytes)
        throw new WeftError('WEFT_INTERNAL', `${name} gave ${written} bytes to write, its shape needs ${sizeBytes}`);
      end = offset + sizeBytes;
    }
  });
}

async function* transposedPieces(ref: TensorRef, rows: MergedRows): AsyncGenerator<Float32Array> {
  const [height = 1, width = 1] = ref.shape;
  const values = new Float32Array(height * width);
  let filled = 0;
  for await (const piece of rows(ref)) {
    values.set(piece, filled);
    filled += piece.length;
  }
  const pieceRows = Math.max(1, Math.floor(pieceElements / height));
  for (let first = 0; first < width; first += pieceRows) {
    const count = Math.min(pieceRows, width - first);
    const piece = new Float32Array(count * height); // [count, height]
    for (let row = 0; row < height; row++) {
      const start = row * width + first;
      for (let column = 0; column < count; column++) piece[column * height + row] = values[start + column] as number;
    }
    yield piece;
  }
}
