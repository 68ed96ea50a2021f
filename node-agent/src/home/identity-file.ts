import { hkdfSync } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createIdentity, WeftError, type Identity } from '@weft/shared';
import { writeFileAtomically } from '@weft/trainer';

const seedBytes = 32;

/** All follow from the one seed: a signature of one can never pass for one of another. */
export interface NodeKeys {
  readonly identity: Identity;
  /** Cosigns the log, where the operator wants that. */
  readonly witnessIdentity: Identity;
  /** Which records are held back follows from it: the same in every run, and nobody else knows them. */
  readonly heldOutKey: string;
}

/**
 * Reads the node's identity, or makes one. The seed is all there is: who has it is this node.
 * @throws WEFT_NODE_HOME_DAMAGED, WEFT_NODE_HOME_EXPOSED
 */
export async function openIdentity(home: string): Promise<NodeKeys> {
  const path = join(home, 'identity.seed');
  const kept = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (kept === undefined) return makeIdentity(path);
  if (kept.length !== seedBytes) {
    throw new WeftError('WEFT_NODE_HOME_DAMAGED', `identity.seed has ${kept.length} bytes, a seed has ${seedBytes}`);
  }
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new WeftError(
      'WEFT_NODE_HOME_EXPOSED',
      `identity.seed has mode ${(mode & 0o777).toString(8)}, it must be 600`,
    );
  }
  return keysOf(kept);
}

const keysOf = (seed: Uint8Array): NodeKeys => {
  const derived = (purpose: string) => new Uint8Array(hkdfSync('sha256', seed, '', `weft/1/${purpose}`, seedBytes));
  return {
    identity: createIdentity(seed).identity,
    witnessIdentity: createIdentity(derived('witness')).identity,
    heldOutKey: Buffer.from(derived('held-out')).toString('hex'),
  };
};

async function makeIdentity(path: string): Promise<NodeKeys> {
  const { seed } = createIdentity();
  await writeFileAtomically(path, async (file) => {
    await file.chmod(0o600);
    await file.writeFile(seed);
  });
  return keysOf(seed);
}
