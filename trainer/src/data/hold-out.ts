import { sha256 } from '@weft/shared';
import type { DataRecord } from './record.ts';

/** Own domain, so that the split says nothing about other uses of a record's hash. */
const domain = 'weft.v1.held-out';

/**
 * Holds back about `share` of the records, each by its own hash: the same record falls on the same side in every run,
 * whatever stands around it, and so do its copies.
 * @param key whoever does not know it cannot tell which ones; without one anybody can
 */
export function splitHeldOut(
  records: readonly DataRecord[],
  share: number,
  key = '',
): { training: DataRecord[]; heldOut: DataRecord[] } {
  const training: DataRecord[] = [];
  const heldOut: DataRecord[] = [];
  for (const record of records) {
    const position = Number.parseInt(sha256(`${domain}\n${key}${record.id}`).slice(0, 12), 16) / 2 ** 48; // [0, 1)
    (position < share ? heldOut : training).push(record);
  }
  return { training, heldOut };
}
