import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { merkle, secagg } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/** The newest head of the federation's log that this node took part under, with the offer that the coordinator signed it in. */
export interface SeenLog extends merkle.TreeHead {
  readonly offer?: secagg.Signed;
}

const fileOf = (home: string): string => join(home, 'log-checkpoint.json');

const seenSchema = z.strictObject({
  size: z.number().int().min(1),
  root: z.string().regex(/^[0-9a-f]{64}$/),
  body: z.base64(),
  signature: z.base64(),
});

/** A damaged file is an error and no fresh start: a node that forgets could be shown another history. */
export async function readSeenLog(home: string): Promise<SeenLog> {
  let text: string;
  try {
    text = await readFile(fileOf(home), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { size: 0, root: new Uint8Array(32) };
  }
  const { size, root, body, signature } = seenSchema.parse(JSON.parse(text));
  const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
  const offer = { body: bytes(body), signature: bytes(signature) };
  return { size, root: new Uint8Array(Buffer.from(root, 'hex')), offer };
}

/** Remembers the head that this offer names, for good and before the node answers it. */
export async function writeSeenLog(home: string, { size, root }: merkle.TreeHead, offer: secagg.Signed): Promise<void> {
  if (size === 0) return;
  const seen: z.infer<typeof seenSchema> = {
    size,
    root: Buffer.from(root).toString('hex'),
    body: Buffer.from(offer.body).toString('base64'),
    signature: Buffer.from(offer.signature).toString('base64'),
  };
  await writePrivateFile(fileOf(home), JSON.stringify(seen));
}
