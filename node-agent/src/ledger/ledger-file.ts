import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { WeftError } from '@weft/shared';
import { type FolderLock, lockFolder } from '../home/lock.ts';
import { type Charge, emptyLedger, encodeCharge, hashIn, type LedgerContent, parseLedger } from './ledger-line.ts';
import { requireMark, setMark } from './ledger-mark.ts';

export interface LedgerPlace {
  readonly folder: string;
  /** In the node's home, apart from the ledger: by it an older copy is known. Whoever only looks may have none. */
  readonly markFile?: string | undefined;
}

const fileIn = (folder: string): string => join(folder, 'ledger.txt');

/**
 * @throws WEFT_PRIVACY_LEDGER_DAMAGED, also for an older copy, and what the disk says: a ledger that cannot be read is not an
 * empty one
 */
export async function readLedger({ folder, markFile }: LedgerPlace): Promise<LedgerContent> {
  const content = await readContent(folder);
  if (markFile !== undefined) await requireMark(markFile, folder, content);
  return content;
}

async function readContent(folder: string): Promise<LedgerContent> {
  try {
    return parseLedger(await readFile(fileIn(folder)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyLedger;
    throw error;
  }
}

/**
 * Reads, asks for one more charge, and has it on disk when this resolves. Agents of other federations may share the
 * folder: each holds it for this moment only.
 * @param decide returns undefined where nothing is to be added; what it throws is thrown, and nothing is written
 */
export async function appendCharge(
  place: LedgerPlace,
  decide: (charges: readonly Charge[]) => Charge | undefined,
): Promise<void> {
  const { folder, markFile } = place;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockSoon(folder);
  try {
    const content = await readLedger(place);
    const charge = decide(content.charges);
    if (charge === undefined) {
      // A crash may have come between the charge and the mark.
      if (markFile !== undefined) await setMark(markFile, folder, content.hashes);
      return;
    }
    const line = encodeCharge(content, charge);
    const file = await open(fileIn(folder), content.wholeBytes === 0 ? 'w' : 'r+', 0o600);
    try {
      await file.truncate(content.wholeBytes);
      await file.write(line, content.wholeBytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncName(folder);
    if (markFile !== undefined) await setMark(markFile, folder, [...content.hashes, hashIn(line)]);
  } finally {
    lock.release();
  }
}

/** So that a new file's name is durable, too. */
async function syncName(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const lockTries = 200;
const lockPauseMs = 50;

async function lockSoon(folder: string): Promise<FolderLock> {
  for (let attempt = 1; attempt <= lockTries; attempt++) {
    const lock = lockFolder(folder);
    if (lock !== undefined) return lock;
    await wait(lockPauseMs);
  }
  throw new WeftError('WEFT_HOME_LOCKED', `another process holds the privacy ledger in ${folder}`);
}
