import { readFile } from 'node:fs/promises';
import { isSha256, WeftError } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';
import type { LedgerContent } from './ledger-line.ts';

/** How far a ledger was when this home last wrote to it: it may have grown since, and never shrinks. */
interface LedgerMark {
  readonly charges: number;
  /** Hash of the line of the last of them. */
  readonly head: string;
}

/** By the ledger's folder: who changes `privacyLedger` in the policy begins to count elsewhere. */
const schema = z.record(
  z.string().max(4096),
  z.strictObject({ charges: z.number().int().min(1), head: z.string().refine(isSha256) }),
);

async function readMarks(file: string): Promise<Record<string, LedgerMark>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw damaged(`${file}, which says how far it was, cannot be read`);
  }
}

/** @throws WEFT_PRIVACY_LEDGER_DAMAGED where charges that this home has seen are not in the ledger: an older copy, or none */
export async function requireMark(file: string, folder: string, { hashes }: LedgerContent): Promise<void> {
  const mark = (await readMarks(file))[folder];
  if (mark === undefined || hashes[mark.charges - 1] === mark.head) return;
  throw damaged(
    hashes.length < mark.charges
      ? `it has ${hashes.length} charges, and had ${mark.charges} when this node last wrote to it`
      : `its charge ${mark.charges} is not the one that this node wrote`,
  );
}

/** @param hashes of all charges. Durable when this resolves. */
export async function setMark(file: string, folder: string, hashes: readonly string[]): Promise<void> {
  if (hashes.length === 0) return;
  const mark: LedgerMark = { charges: hashes.length, head: hashes.at(-1)! };
  await writePrivateFile(file, `${JSON.stringify({ ...(await readMarks(file)), [folder]: mark })}\n`);
}

const damaged = (what: string): WeftError =>
  new WeftError('WEFT_PRIVACY_LEDGER_DAMAGED', `the privacy ledger cannot be trusted: ${what}`);
