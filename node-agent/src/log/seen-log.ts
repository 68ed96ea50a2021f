import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { merkle, secagg } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/**
 * The newest head of the federation's log that this node was shown, in what the coordinator signed: an offer, or a
 * checkpoint. A later one that does not continue it is the other half of a proof that the coordinator lies.
 */
export interface SeenLog extends merkle.TreeHead {
  /** An offer may name an older head, and none older than this: with it the last round ended. */
  readonly leastSize: number;
  readonly offer?: secagg.Signed | undefined;
  /** A signed note. */
  readonly checkpoint?: Uint8Array | undefined;
}

const fileOf = (home: string): string => join(home, 'log-checkpoint.json');

const seenSchema = z.strictObject({
  size: z.number().int().min(1),
  root: z.string().regex(/^[0-9a-f]{64}$/),
  leastSize: z.number().int().min(1).optional(),
  body: z.base64().optional(),
  signature: z.base64().optional(),
  checkpoint: z.base64().optional(),
});

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');

/** A damaged file is an error and no fresh start: a node that forgets could be shown another history. */
export async function readSeenLog(home: string): Promise<SeenLog> {
  let text: string;
  try {
    text = await readFile(fileOf(home), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { size: 0, root: new Uint8Array(32), leastSize: 0 };
  }
  const { size, root, leastSize = size, body, signature, checkpoint } = seenSchema.parse(JSON.parse(text));
  return {
    size,
    root: new Uint8Array(Buffer.from(root, 'hex')),
    leastSize,
    ...(body !== undefined && signature !== undefined && { offer: { body: bytes(body), signature: bytes(signature) } }),
    ...(checkpoint !== undefined && { checkpoint: bytes(checkpoint) }),
  };
}

/** Remembers the head for good, before anything is answered or cosigned under it. */
export async function writeSeenLog(home: string, { size, root, leastSize, offer, checkpoint }: SeenLog): Promise<void> {
  if (size === 0) return;
  const seen: z.infer<typeof seenSchema> = {
    size,
    root: Buffer.from(root).toString('hex'),
    leastSize: Math.max(1, leastSize),
    ...(offer && { body: base64(offer.body), signature: base64(offer.signature) }),
    ...(checkpoint && { checkpoint: base64(checkpoint) }),
  };
  await writePrivateFile(fileOf(home), JSON.stringify(seen));
}
