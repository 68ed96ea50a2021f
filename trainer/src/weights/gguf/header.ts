import { WeftError } from '@weft/shared';
import { corrupt, Cursor, withinLimit } from './cursor.ts';
import { ggufTensorTypes, tensorTypeName, tensorTypeOf, type GgufTensorType } from './tensor-types.ts';

/** 64-bit integers beyond what a number holds exactly stay bigint. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Row-major, as Hugging Face writes it: the reverse of the file's order. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const magic = 0x46554747; // "GGUF"
const defaultAlignment = 32;

/**
 * Parses the front of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3.
 *
 * @param bytes the file's first bytes; throws MoreBytesNeeded where the header goes on behind them
 * @param fileBytes the whole file's size, against which every offset is checked
 */
export function parseGgufHeader(bytes: Uint8Array, fileBytes: number): GgufHeader {
  const cursor = new Cursor(bytes, fileBytes);
  if (cursor.u32() !== magic) throw corrupt('the file does not begin with GGUF');
  const version = cursor.u32();
  if ((version & 0xffff) === 0 && version !== 0)
    throw new WeftError('WEFT_MODEL_UNSUPPORTED', 'gguf: the file is big-endian', { feature: 'big-endian' });
  if (version !== 2 && version !== 3) {
    throw new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: the file has version ${version}; Weft reads 2 and 3`, {
      feature: 'gguf version',
    });
  }
  const tensorCount = cursor.count('tensors');
  const entryCount = cursor.count('metadataEntries');
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.string('keyBytes');
    if (metadata.has(key)) throw corrupt(`the key ${key.slice(0, 80)} stands there twice`);
    metadata.set(key, readValue(cursor, cursor.u32(), 0));
  }
  const described = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
  const alignment = alignmentOf(metadata);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { version, metadata, tensors: placeTensors(described, dataStart, alignment, fileBytes) };
}

function readValue(cursor: Cursor, type: number, depth: number): GgufValue {
  switch (type) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.i8();
    case 2:
      return cursor.u16();
    case 3:
      return cursor.i16();
    case 4:
      return cursor.u32();
    case 5:
      return cursor.i32();
    case 6:
      return cursor.f32();
    case 7:
      return cursor.u8() !== 0;
    case 8:
      return cursor.string('stringBytes');
    case 9: {
      withinLimit('nesting', depth + 1);
      const itemType = cursor.u32();
      const length = cursor.arrayLength();
      const items: GgufValue[] = [];
      for (let i = 0; i < length; i++) items.push(readValue(cursor, itemType, depth + 1));
      return items;
    }
    case 10:
      return asNumber(cursor.u64());
    case 11:
      return asNumber(cursor.i64());
    case 12:
      return cursor.f64();
    default:
      throw corrupt(`a value at byte ${cursor.position} has the unknown type ${type}`);
  }
}

const asNumber = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

type TensorInfo = Omit<GgufTensor, 'offset'> & { readonly relativeOffset: number };

function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.string('tensorNameBytes');
  const dimensions = withinLimit('dimensions', cursor.u32());
  const fileOrder = Array.from({ length: dimensions }, () => cursor.size(`a dimension of ${name}`));
  const typeId = cursor.u32();
  const relativeOffset = cursor.size(`the offset of ${name}`);
  const type = tensorTypeOf(typeId);
  if (type === undefined) {
    const known = Object.keys(ggufTensorTypes).join(', ');
    throw new WeftError(
      'WEFT_MODEL_UNSUPPORTED',
      `gguf: ${name} has the type ${tensorTypeName(typeId)}; Weft reads ${known}`,
      { feature: tensorTypeName(typeId) },
    );
  }
  const { blockElements, blockBytes } = ggufTensorTypes[type];
  const rowElements = fileOrder[0] ?? 1;
  if (rowElements % blockElements !== 0)
    throw corrupt(`${name} has rows of ${rowElements} elements, ${type} packs ${blockElements} at a time`);
  let elements = 1;
  for (const size of fileOrder) {
    elements *= size;
    if (!Number.isSafeInteger(elements * 4)) throw corrupt(`${name} has more elements than a safe integer counts`);
  }
  return {
    name,
    type,
    shape: fileOrder.toReversed(),
    relativeOffset,
    sizeBytes: (elements / blockElements) * blockBytes,
  };
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get('general.alignment') ?? defaultAlignment;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 8 || value % 8 !== 0)
    throw corrupt('general.alignment is no multiple of 8');
  return withinLimit('alignment', value);
}

/** Turns relative offsets into the file's and refuses what overlaps or ends behind the file. */
function placeTensors(
  described: readonly TensorInfo[],
  dataStart: number,
  alignment: number,
  fileBytes: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let end = dataStart;
  for (const { relativeOffset, ...tensor } of described.toSorted(
    (a, b) => a.relativeOffset - b.relativeOffset || a.sizeBytes - b.sizeBytes,
  )) {
    if (tensors.has(tensor.name)) throw corrupt(`two tensors are called ${tensor.name}`);
    if (relativeOffset % alignment !== 0)
      throw corrupt(`${tensor.name} lies at ${relativeOffset}, which is no multiple of ${alignment}`);
    const offset = dataStart + relativeOffset;
    if (offset < end) throw corrupt(`${tensor.name} begins at byte ${offset}, the tensor before it ends at ${end}`);
    end = offset + tensor.sizeBytes;
    if (end > fileBytes) throw corrupt(`${tensor.name} ends at byte ${end}, the file has ${fileBytes}`);
    tensors.set(tensor.name, { ...tensor, offset });
  }
  return tensors;
}
