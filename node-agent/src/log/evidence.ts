import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { log, type secagg } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';

/** What a coordinator signed and cannot have meant honestly, for whoever is to judge. */
export interface Evidence {
  readonly runId: string;
  readonly round: number;
  readonly check: log.LogCheckName;
  readonly statements: readonly secagg.Signed[];
  /** Signed notes. */
  readonly checkpoints?: readonly Uint8Array[];
  /** The message within which the last of it came, as it was serialised. */
  readonly shown?: Uint8Array | undefined;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** @returns the file's name */
export async function keepEvidence(home: string, evidence: Evidence): Promise<string> {
  const { runId, round, check, statements, checkpoints = [], shown } = evidence;
  const folder = join(home, 'evidence');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // A round may break several: none of them takes another's place.
  const name = `${runId}.${round}.${check}.json`;
  const kept = {
    runId,
    round,
    about: log.logChecks[check],
    statements: statements.map(({ body, signature }) => ({ body: base64(body), signature: base64(signature) })),
    ...(checkpoints.length > 0 && { checkpoints: checkpoints.map(base64) }),
    ...(shown && { shown: base64(shown) }),
  };
  await writePrivateFile(join(folder, name), JSON.stringify(kept));
  return name;
}
