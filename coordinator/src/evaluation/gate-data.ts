import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WeftError, type RunSpec } from '@weft/shared';
import { readRecords, type DataRecord } from '@weft/trainer';
import type { FileBlobStore } from '../store/file-blobs.ts';

type Gate = NonNullable<RunSpec['evaluation']['gate']>;
export type GateFormat = Gate['format'];

/** A blob has no extension, and by its extension a file becomes records: it is read under another name. */
export async function readGateRecords(blobFile: string, format: GateFormat): Promise<DataRecord[]> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-gate-'));
  try {
    const file = join(folder, `gate-data.${format}`);
    await copyFile(blobFile, file);
    return await readRecords([file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Before a run with this gate is entered.
 * @throws WEFT_GATE_DATA_MISSING, and what the trainer says of the file
 */
export async function checkGateData(blobs: FileBlobStore, { dataSha256, format }: Gate): Promise<void> {
  if ((await blobs.sizeBytes(dataSha256)) === undefined) {
    throw new WeftError(
      'WEFT_GATE_DATA_MISSING',
      `the spec's evaluation.gate.dataSha256 is ${dataSha256}, and no file with this hash is here`,
    );
  }
  await readGateRecords(blobs.path(dataSha256), format);
}
