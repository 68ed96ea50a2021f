import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readSafetensorsHeader, readTensors } from './read.ts';
import { writeSafetensors } from './write.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-safetensors-'));
});
afterEach(() => rm(folder, { recursive: true }));

const float = (...values: number[]): Float32Array => Float32Array.from(values);

/** A file of `header` as JSON and `dataBytes` zero bytes. */
async function fileOf(header: unknown, dataBytes: number, claimedHeaderBytes?: number): Promise<string> {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimedHeaderBytes ?? json.length));
  const file = join(folder, 'made.safetensors');
  await writeFile(file, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return file;
}

const rejection = async (file: string): Promise<string> =>
  readSafetensorsHeader(file).then(
    () => 'accepted',
    (error: unknown) => (isWeftError(error) ? `${error.code} ${error.message}` : String(error)),
  );

test('what was written is read back, in each type', async () => {
  const file = join(folder, 'a.safetensors');
  await writeSafetensors(
    file,
    [
      { name: 'odd', dtype: 'F32', shape: [3], data: float(1, -2, 3.5) },
      { name: 'half', dtype: 'F16', shape: [2, 16], data: new Float32Array(32).fill(0.333) },
      { name: 'brain', dtype: 'BF16', shape: [32], data: new Float32Array(32).fill(0.333) },
    ],
    { metadata: { format: 'pt' } },
  );
  const { tensors, metadata } = await readTensors(file);
  expect(metadata).toEqual({ format: 'pt' });
  expect(tensors.get('odd')).toEqual({ shape: [3], values: float(1, -2, 3.5) });
  expect(tensors.get('half')?.values[5]).toBeCloseTo(0.333, 3);
  expect(tensors.get('brain')?.values[5]).toBe(0.33203125);
  expect(await readdir(folder)).toEqual(['a.safetensors']);
});

test('tensors of whole cache lines lie aligned, whatever stands before them in the list', async () => {
  const file = join(folder, 'a.safetensors');
  const names = ['a', 'b', 'c'];
  await writeSafetensors(
    file,
    names.map((name, i) => ({
      name,
      dtype: 'F32',
      shape: [i === 0 ? 5 : 16],
      data: new Float32Array(i === 0 ? 5 : 16),
    })),
  );
  const { tensors } = await readSafetensorsHeader(file);
  expect([...tensors.values()].map((t) => [t.name, t.offset % 64])).toEqual([
    ['b', 0],
    ['c', 0],
    ['a', 0],
  ]);
});

test('a writer that fails leaves neither a file nor a temporary one, and the old file as it was', async () => {
  const file = join(folder, 'a.safetensors');
  await writeFile(file, 'old');
  const failing = (): Iterable<Uint8Array> => {
    throw new Error('source failed');
  };
  await expect(writeSafetensors(file, [{ name: 'a', dtype: 'F32', shape: [1], data: failing }])).rejects.toThrow(
    'source failed',
  );
  expect(await readdir(folder)).toEqual(['a.safetensors']);
  expect(await readFile(file, 'utf8')).toBe('old');
});

test('a full disk is a catalogued error that leaves no file', async () => {
  const onFullDisk = (): Iterable<Uint8Array> => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  const written = writeSafetensors(join(folder, 'a.safetensors'), [
    { name: 'a', dtype: 'F32', shape: [1], data: onFullDisk },
  ]);
  expect(isWeftError(await written.catch((error: unknown) => error), 'WEFT_DISK_FULL')).toBe(true);
  expect(await readdir(folder)).toEqual([]);
});

test('a tensor with fewer bytes than its shape is not written', async () => {
  const short = { name: 'a', dtype: 'F32', shape: [2], data: new Uint8Array(4) } as const;
  await expect(writeSafetensors(join(folder, 'a.safetensors'), [short])).rejects.toThrow(
    'gave 4 bytes to write, its shape needs 8',
  );
});

test('a header of a gigabyte is refused by its name before anything is read', async () => {
  expect(await rejection(await fileOf({}, 0, 2 ** 30))).toBe(
    'WEFT_MODEL_LIMIT safetensors: headerBytes is 1073741824, the limit is 100000000',
  );
});

test('hostile headers are refused', async () => {
  const tensor = (shape: unknown, offsets: unknown, dtype = 'F32'): unknown => ({
    dtype,
    shape,
    data_offsets: offsets,
  });
  const cases: [string, unknown, number][] = [
    ['past the end', { a: tensor([2], [0, 8]) }, 4],
    ['overlap', { a: tensor([2], [0, 8]), b: tensor([2], [4, 12]) }, 16],
    ['gap', { a: tensor([1], [0, 4]), b: tensor([1], [8, 12]) }, 8],
    ['bytes after the last tensor', { a: tensor([1], [0, 4]) }, 8],
    ['size other than the shape needs', { a: tensor([3], [0, 8]) }, 8],
    ['negative dimension', { a: tensor([-1], [0, 4]) }, 4],
    ['product beyond safe integers', { a: tensor([2 ** 40, 2 ** 40], [0, 4]) }, 4],
    ['fractional offset', { a: tensor([1], [0.5, 4.5]) }, 4],
    ['array for a header', [1], 0],
    ['metadata that is no string', { __metadata__: { a: 1 } }, 0],
  ];
  for (const [name, header, bytes] of cases) {
    expect(await rejection(await fileOf(header, bytes)), name).toContain('WEFT_MODEL_CORRUPT');
  }
  for (const dtype of ['I64', 'F8_E4M3', 'F8_E5M2', 'U8'])
    expect(await rejection(await fileOf({ a: tensor([1], [0, 8], dtype) }, 8))).toBe(
      `WEFT_MODEL_UNSUPPORTED a has dtype ${dtype}; Weft reads F32, F16 and BF16`,
    );
  expect(await rejection(await fileOf({ ['x'.repeat(600)]: tensor([1], [0, 4]) }, 4))).toContain(
    'nameLength is 600, the limit is 512',
  );
  expect(await rejection(await fileOf({ a: tensor(Array(9).fill(1), [0, 4]) }, 4))).toContain(
    'dimensions is 9, the limit is 8',
  );
});

test('a truncated file is refused', async () => {
  const file = join(folder, 'a.safetensors');
  await writeSafetensors(file, [{ name: 'a', dtype: 'F32', shape: [64], data: new Float32Array(64) }]);
  const whole = await readFile(file);
  for (const length of [0, 5, 8, 20, whole.length - 1]) {
    await writeFile(file, whole.subarray(0, length));
    expect(await rejection(file), `${length} bytes`).toContain('WEFT_MODEL_CORRUPT');
  }
});
