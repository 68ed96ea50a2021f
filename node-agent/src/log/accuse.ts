import type { log, secagg } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import { recordSent } from '../home/sent-record.ts';
import { writeDistrust } from './distrust.ts';
import { keepEvidence } from './evidence.ts';

export interface Accused {
  readonly runId: string;
  readonly round: number;
  readonly runName: string;
  /** A run, or the whole federation. */
  readonly scope: string;
}

export interface Kept {
  readonly statements: readonly secagg.Signed[];
  readonly checkpoints?: readonly Uint8Array[];
  readonly shown?: Uint8Array | undefined;
}

/** What the coordinator signed does not hold: evidence first, then what stops this node, then the words. */
export type Accuse = (check: log.LogCheckName, about: Accused, kept: Kept) => Promise<void>;

export const createAccuse =
  ({ home, emit }: { readonly home: string; readonly emit: (event: NodeEvent) => void }): Accuse =>
  async (check, { runId, round, runName, scope }, kept) => {
    const evidence = await keepEvidence(home, { runId, round, check, ...kept });
    await writeDistrust(home, { scope, runId, round, check, at: new Date().toISOString(), evidence });
    await recordSent(home, { kind: 'log', runId, runName, round, outcome: 'distrusted', check });
    emit({ event: 'log-distrusted', runId, round, check, scope, evidence });
  };
