import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addToRing,
  decodeSum,
  privacy,
  secagg,
  updateEncoding,
  type ExportView,
  type RunDetailView,
} from '@weft/shared';
import type { TestFederation } from './federation.ts';

/** The update in a node's home, before any mask; it lies there when the node says that it has trained. */
export function pendingPayload(home: string): Uint8Array {
  const pending = join(home, 'pending');
  return readFileSync(
    join(
      pending,
      readdirSync(pending).find((name) => name.endsWith('.payload'))!,
    ),
  );
}

/** What the sum of these updates, as they lay on the nodes' disks before any mask, says that the last round's step is. */
export function meanOf(
  { spec, id, roundsDone }: RunDetailView,
  payloads: readonly Uint8Array[],
  values: number,
): Float64Array {
  const encoding = updateEncoding(spec, values);
  const { words, bits } = encoding.offered;
  const sum = secagg.ringWords(bits, words);
  for (const payload of payloads) addToRing(sum, secagg.unpackWords(payload, words, bits)!);
  secagg.reduceWords(sum, bits);
  const rotationSeed = privacy.rotationSeed(id, roundsDone.at(-1)!.round);
  return decodeSum(encoding, sum, { rotationSeed, nodes: payloads.length }).meanDelta;
}

/** B of every target in the newest adapter, in layout order; it starts from zero. */
export async function publishedB(federation: Pick<TestFederation, 'admin'>, runId: string): Promise<Float32Array> {
  const { files } = await federation.admin<ExportView>('GET', `/api/runs/${runId}/adapter`);
  return factorB(Buffer.from(files.find(({ name }) => name.endsWith('.safetensors'))!.base64, 'base64'));
}

function factorB(file: Buffer): Float32Array {
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString()) as Record<string, { data_offsets: number[] }>;
  const parts = Object.entries(header)
    .filter(([name]) => name.includes('lora_B'))
    .map(
      ([
        ,
        {
          data_offsets: [start, end],
        },
      ]) => file.subarray(8 + headerBytes + start!, 8 + headerBytes + end!),
    );
  const bytes = new Uint8Array(Buffer.concat(parts));
  return new Float32Array(bytes.buffer);
}
