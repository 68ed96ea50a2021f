import { hashText } from '../weights/hash-file.js';
                                              

/** Own domain, so that the split says nothing about other uses of a record's hash. */
const domain = 'weft.v1.held-out';

/**
 * Holds back about `share` of the records, each by its own hash: the same record falls on the same side in every run,
 * whatever stands around it, and so do its copies.
 */
export function splitHeldOut(records                       , share        )                                                    {
  const training               = [];
  const heldOut               = [];
  for (const record of records) {
    const position = Number.parseInt(hashText(`${domain}\n${record.id}`).slice(0, 12), 16) / 2 ** 48; // [0, 1)
    (position < share ? heldOut : training).push(record);
  }
  return { training, heldOut };
}
