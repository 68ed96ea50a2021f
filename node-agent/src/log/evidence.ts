import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { secagg } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';

/** What a coordinator signed and cannot have meant honestly, for whoever is to judge. */
export interface Evidence {
  readonly runId: string;
  readonly round: number;
  readonly about: string;
  readonly statements: readonly secagg.Signed[];
  /** Signed notes. */
  readonly checkpoints?: readonly Uint8Array[];
  /** The message within which the last of it came, as it was serialised. */
  readonly shown?: Uint8Array | undefined;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** @returns the file's name */
export async function keepEvidence(home: string, evidence: Evidence): Promise<string> {
  const { runId, round, about, statements, checkpoints = [], shown } = evidence;
  const folder = join(home, 'evidence');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = `${runId}.${round}.json`;
  const kept = {
    runId,
    round,
    about,
    statements: statements.map(({ body, signature }) => ({ body: base64(body), signature: base64(signature) })),
    ...(checkpoints.length > 0 && { checkpoints: checkpoints.map(base64) }),
    ...(shown && { shown: base64(shown) }),
  };
  await writePrivateFile(join(folder, name), JSON.stringify(kept));
  return name;
}
