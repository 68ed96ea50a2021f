import { WeftError } from '@weft/shared';
import { bytesPerElement } from '../half.ts';
import type { StoredDtype, TensorDtype } from '../tensor-ref.ts';
import { safetensorsLimits as limits } from './limits.ts';

/** A tensor as the header describes it; `offset` counts from the start of the file. */
export interface SafetensorsEntry<Dtype extends StoredDtype = TensorDtype> {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface SafetensorsHeader<Dtype extends StoredDtype = TensorDtype> {
  /** In the order of their bytes. */
  readonly tensors: readonly SafetensorsEntry<Dtype>[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** A file opens with the header's length as a 64-bit little-endian integer. */
export const lengthFieldBytes = 8;

const corrupt = (what: string): WeftError => new WeftError('WEFT_MODEL_CORRUPT', `safetensors: ${what}`);
const beyond = (name: keyof typeof limits, actual: number): WeftError =>
  new WeftError('WEFT_MODEL_LIMIT', `safetensors: ${name} is ${actual}, the limit is ${limits[name]}`, {
    limit: `safetensors.${name}`,
    actual,
  });

/** The header's length from the file's first 8 bytes, checked against the file's size before anything is allocated. */
export function parseHeaderLength(field: Uint8Array, fileBytes: number): number {
  if (field.length < lengthFieldBytes)
    throw corrupt(`the file has ${fileBytes} bytes, a header alone needs more than ${lengthFieldBytes}`);
  const length = new DataView(field.buffer, field.byteOffset, lengthFieldBytes).getBigUint64(0, true);
  if (length > BigInt(limits.headerBytes)) throw beyond('headerBytes', Number(length));
  const headerBytes = Number(length);
  if (headerBytes < 2 || lengthFieldBytes + headerBytes > fileBytes) {
    throw corrupt(`the header claims ${headerBytes} bytes, the file has ${fileBytes}`);
  }
  return headerBytes;
}

/** What models are published in. */
export const floatDtypes = ['F32', 'F16', 'BF16'] as const satisfies readonly TensorDtype[];

/** Types of the header and checks that the tensors tile the data exactly: no overlap, no gap, nothing past the end. */
export function parseSafetensorsHeader<Dtype extends StoredDtype>(
  json: Uint8Array,
  fileBytes: number,
  dtypes: readonly Dtype[],
): SafetensorsHeader<Dtype> {
  const parsed = parseJsonObject(json);
  const dataStart = lengthFieldBytes + json.length;
  const names = Object.keys(parsed).filter((name) => name !== '__metadata__');
  if (names.length > limits.tensors) throw beyond('tensors', names.length);
  const tensors = names.map((name) => parseEntry(name, parsed[name], dataStart, dtypes));
  tensors.sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes);
  let end = dataStart;
  for (const tensor of tensors) {
    if (tensor.offset !== end) {
      throw corrupt(
        `tensor data ${tensor.offset < end ? 'overlaps' : 'has a gap'} at byte ${tensor.offset}, the tensor before ends at ${end}`,
      );
    }
    end += tensor.sizeBytes;
  }
  if (end !== fileBytes) throw corrupt(`the tensors end at byte ${end}, the file has ${fileBytes}`);
  return { tensors, metadata: parseMetadata(parsed['__metadata__']) };
}

function parseJsonObject(json: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw corrupt('the header is not JSON in UTF-8');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw corrupt('the header is not a JSON object');
  return parsed as Record<string, unknown>;
}

function parseEntry<Dtype extends StoredDtype>(
  name: string,
  value: unknown,
  dataStart: number,
  dtypes: readonly Dtype[],
): SafetensorsEntry<Dtype> {
  if (name.length > limits.nameLength) throw beyond('nameLength', name.length);
  if (typeof value !== 'object' || value === null) throw corrupt(`the entry of ${name} is not an object`);
  const { dtype: stored, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof stored !== 'string') throw corrupt(`${name} has no dtype`);
  const dtype = dtypes.find((known) => known === stored);
  if (dtype === undefined) {
    throw new WeftError(
      'WEFT_MODEL_UNSUPPORTED',
      `${name} has dtype ${stored.slice(0, 16)}; Weft reads F32, F16 and BF16`,
      { feature: 'dtype' },
    );
  }
  if (!Array.isArray(shape)) throw corrupt(`${name} has no shape`);
  if (shape.length > limits.dimensions) throw beyond('dimensions', shape.length);
  let elements = 1;
  for (const size of shape as unknown[]) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw corrupt(`${name} has a dimension that is no whole number`);
    elements *= size;
    if (!Number.isSafeInteger(elements * 4)) throw corrupt(`${name} has more elements than a safe integer counts`);
  }
  if (!isOffsets(offsets)) throw corrupt(`${name} has no pair of data offsets`);
  const sizeBytes = elements * bytesPerElement[dtype];
  const [start, end] = offsets;
  if (end - start !== sizeBytes) throw corrupt(`${name} spans ${end - start} bytes, its shape needs ${sizeBytes}`);
  return { name, dtype, shape: shape as number[], offset: dataStart + start, sizeBytes };
}

const isOffsets = (value: unknown): value is [number, number] =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((v) => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0);

function parseMetadata(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw corrupt('__metadata__ is not an object');
  const entries = Object.entries(value);
  if (entries.length > limits.metadataEntries) throw beyond('metadataEntries', entries.length);
  for (const [, text] of entries)
    if (typeof text !== 'string') throw corrupt('__metadata__ holds a value that is no string');
  return Object.fromEntries(entries as [string, string][]);
}
