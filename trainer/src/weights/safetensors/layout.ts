import { bytesPerElement } from '../half.ts';
import type { StoredDtype } from '../tensor-ref.ts';
import { lengthFieldBytes } from './header.ts';

export interface TensorOutline {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** Row-major. */
  readonly shape: readonly number[];
}

export interface PlacedTensor<T> {
  readonly tensor: T;
  /** From the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What runtimes like to map: a cache line. */
const alignmentBytes = 64;

/**
 * The header of a safetensors file and where its tensors lie, in the order of their bytes.
 *
 * The format allows no gap between tensors, so those whose size is no multiple of 64 bytes come last:
 * all others then lie aligned.
 */
export function layOut<T extends TensorOutline>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly header: Uint8Array; readonly places: readonly PlacedTensor<T>[] } {
  const sized = tensors.map((tensor) => ({
    tensor,
    sizeBytes: tensor.shape.reduce((a, b) => a * b, 1) * bytesPerElement[tensor.dtype],
  }));
  const ordered = [
    ...sized.filter((t) => t.sizeBytes % alignmentBytes === 0),
    ...sized.filter((t) => t.sizeBytes % alignmentBytes !== 0),
  ];
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let offset = 0;
  const relative = ordered.map((place) => {
    const { name, dtype, shape } = place.tensor;
    const start = offset;
    offset += place.sizeBytes;
    entries.push([name, { dtype, shape, data_offsets: [start, offset] }]);
    return { ...place, offset: start };
  });
  const header = encode(entries);
  return { header, places: relative.map((place) => ({ ...place, offset: header.length + place.offset })) };
}

function encode(entries: readonly (readonly [string, unknown])[]): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const total = Math.ceil((lengthFieldBytes + json.length) / alignmentBytes) * alignmentBytes;
  const header = new Uint8Array(total).fill(0x20); // the format pads with spaces
  new DataView(header.buffer).setBigUint64(0, BigInt(total - lengthFieldBytes), true);
  header.set(json, lengthFieldBytes);
  return header;
}
