import type { RunSpec } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import type { Connection } from '../session/connection.ts';

type Stage = 'downloading' | 'evaluating' | 'training' | 'uploading';

/** Tells operator and coordinator how far the work of one round is. */
export type ProgressReport = (
  stage: Stage,
  done: number,
  total: number,
  step?: { readonly loss: number; readonly tokensPerSecond: number },
) => void;

/** Twice a second is as often as a person can read; the first and the last of a stage always go out. */
const intervalMs = 500;

export function createProgressReport(
  { runId, round, spec }: { readonly runId: string; readonly round: number; readonly spec: RunSpec },
  connection: Connection,
  emit: (event: NodeEvent) => void,
): ProgressReport {
  let lastStage: Stage | undefined;
  let dueMs = 0;
  return (stage, done, total, step) => {
    const nowMs = performance.now();
    if (stage === lastStage && done < total && nowMs < dueMs) return;
    lastStage = stage;
    dueMs = nowMs + intervalMs;
    connection.say({
      case: 'progress',
      value: {
        runId,
        round,
        stage,
        done: BigInt(done),
        total: BigInt(total),
        // A number of tokens, in the end: in a run with noise it stays here.
        tokensPerSecond: spec.privacy ? 0 : (step?.tokensPerSecond ?? 0),
      },
    });
    if (stage === 'training')
      emit({
        event: stage,
        runId,
        round,
        done,
        total,
        loss: step?.loss ?? 0,
        tokensPerSecond: step?.tokensPerSecond ?? 0,
      });
    else if (stage !== 'evaluating') emit({ event: stage, runId, round, done, total });
  };
}
