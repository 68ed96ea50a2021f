import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256, type Sha256 } from '@weft/shared';
import { z } from 'zod';
import { hashFile } from '../weights/hash-file.ts';
import { writeFileAtomically } from '../weights/atomic-file.ts';

const fileName = 'training.json';
/** Ours have about 1 KB; a longer one was not written by Weft. */
const limitBytes = 64 * 1024;

const sha256 = z.custom<Sha256>((value) => typeof value === 'string' && isSha256(value));

const schema = z.object({
  /** The adapter_model.safetensors that came out of it. */
  adapter: sha256,
  /** The base model. */
  model: sha256,
  /** Of the rows of token ids that it was trained on. */
  data: sha256,
  /** What decided the steps, by the names of the flags. */
  options: z.record(z.string().max(64), z.union([z.string().max(1024), z.number(), z.boolean()])),
  examples: z.int().min(1),
  /** Of the first and of the last step, on the rows that it trained on. */
  firstLoss: z.number(),
  lastLoss: z.number(),
});

/** How an adapter came to be, beside it: no text, no path, nothing of the machine. */
export type TrainingRecord = z.infer<typeof schema>;

/** Of adapter_model.safetensors, by which cards and records name an adapter. */
export const adapterHash = (
  folder: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Sha256> => hashFile(join(folder, 'adapter_model.safetensors'), options);

export async function saveTrainingRecord(folder: string, record: TrainingRecord): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(record, undefined, 2)}\n`);
  await writeFileAtomically(join(folder, fileName), async (handle) => handle.writeFile(bytes));
}

/** The record of these very bytes; undefined where there is none, or one of another adapter. */
export async function readTrainingRecord(folder: string, adapter: Sha256): Promise<TrainingRecord | undefined> {
  const handle = await open(join(folder, fileName), 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    if ((await handle.stat()).size > limitBytes) return undefined;
    const record = schema.safeParse(parsed(await handle.readFile('utf8')));
    return record.success && record.data.adapter === adapter ? record.data : undefined;
  } finally {
    await handle.close();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
