import type { RunSpec } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import { allowedMetrics } from '../policy/metrics.ts';
import type { Policy } from '../policy/policy.ts';
import type { Connection } from '../session/connection.ts';

type Stage = 'downloading' | 'evaluating' | 'training' | 'uploading';

/** Tells operator and coordinator how far the work of one round is. */
export type ProgressReport = (
  stage: Stage,
  done: number,
  total: number,
  step?: { readonly loss: number; readonly tokensPerSecond: number },
) => void;

export interface ProgressContext {
  readonly connection: Pick<Connection, 'say'>;
  readonly emit: (event: NodeEvent) => void;
  readonly policy: Policy;
}

/** Twice a second is as often as a person can read; the first and the last of a stage always go out. */
const intervalMs = 500;

export function createProgressReport(
  { runId, round, spec }: { readonly runId: string; readonly round: number; readonly spec: RunSpec },
  { connection, emit, policy }: ProgressContext,
): ProgressReport {
  const maySpeed = allowedMetrics(policy, spec).has('speed');
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
        // A number of tokens, in the end.
        tokensPerSecond: maySpeed ? (step?.tokensPerSecond ?? 0) : 0,
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
