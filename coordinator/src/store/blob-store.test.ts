import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError, sha256, WeftError, type Sha256 } from '@weft/shared';
import { afterAll, describe, expect, test } from 'vitest';
import type { BlobStore } from './blob-store.ts';
import { openFileBlobs } from './file-blobs.ts';
import { createMemoryBlobs } from './memory-blobs.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const implementations: Record<string, () => Promise<BlobStore>> = {
  files: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-blobs-'));
    folders.push(folder);
    return openFileBlobs(folder);
  },
  memory: async () => createMemoryBlobs(),
};

const collect = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
};
const code = (error: unknown): string => (isWeftError(error) ? error.code : String(error));
const bytes = Buffer.alloc(2_500_000, 'weft');
const info = { sha256: sha256(bytes), sizeBytes: bytes.length };

describe.each(Object.keys(implementations))('%s', (name) => {
  const open = implementations[name]!;

  test('a blob is found by its hash, in pieces of a mebibyte, until it is removed', async () => {
    const blobs = await open();
    expect(await blobs.put(bytes)).toEqual(info);
    expect(await blobs.put(bytes)).toEqual(info);
    expect(await blobs.list()).toEqual([info.sha256]);
    expect(await blobs.sizeBytes(info.sha256)).toBe(bytes.length);
    const sizes: number[] = [];
    for await (const piece of blobs.read(info.sha256)) sizes.push(piece.length);
    expect(sizes).toEqual([1 << 20, 1 << 20, bytes.length - (2 << 20)]);
    expect(Buffer.from(await blobs.readRange(info.sha256, 1_000_001, 1_500_002))).toEqual(
      bytes.subarray(1_000_001, 1_500_002),
    );
    expect(await blobs.readRange(info.sha256, 2_400_000, bytes.length + 1).catch(code)).toBe('WEFT_BLOB_MISSING');
    await blobs.remove(info.sha256);
    await blobs.remove(info.sha256);
    expect(await blobs.sizeBytes(info.sha256)).toBeUndefined();
    expect(await collect(blobs.read(info.sha256)).catch(code)).toBe('WEFT_BLOB_MISSING');
    expect(await blobs.readRange(info.sha256, 0, 1).catch(code)).toBe('WEFT_BLOB_MISSING');
  });

  test('a blob that arrives in parts is none until length and hash hold', async () => {
    const blobs = await open();
    const first = await blobs.openPartial('one');
    await first.write(bytes.subarray(0, 1_000_001));
    expect(await first.seal(info).catch(code)).toBe('WEFT_TRANSFER_TRUNCATED');
    await first.close();
    expect(await blobs.list()).toEqual([]);
    expect(await blobs.partialBytes('one')).toBe(1_000_001);
    expect(await blobs.listPartials()).toEqual(['one']);

    const second = await blobs.openPartial('one');
    expect(second.sizeBytes).toBe(1_000_001);
    await second.truncate(1_000_000);
    await second.write(bytes.subarray(1_000_000));
    let inspected = 0;
    await second.seal(info, (piece) => {
      inspected += piece.length;
    });
    expect(inspected).toBe(bytes.length);
    expect(await collect(blobs.read(info.sha256))).toEqual(bytes);
    expect(await blobs.listPartials()).toEqual([]);
  });

  test('bytes with another hash, or that the inspection refuses, are forgotten', async () => {
    const blobs = await open();
    const wrong = await blobs.openPartial('wrong');
    await wrong.write(bytes);
    expect(await wrong.seal({ ...info, sha256: 'a'.repeat(64) as Sha256 }).catch(code)).toBe('WEFT_TRANSFER_HASH');
    const refused = await blobs.openPartial('refused');
    await refused.write(bytes);
    const refusal = new WeftError('WEFT_UPDATE_WRONG_RING', 'refused');
    expect(
      await refused
        .seal(info, () => {
          throw refusal;
        })
        .catch((error: unknown) => error),
    ).toBe(refusal);
    expect(await blobs.listPartials()).toEqual([]);
    expect(await blobs.list()).toEqual([]);
  });
});
