import { WeftError } from '@weft/shared';
import type { RoundInput } from './inputs.ts';
import { findVersion, type RunState } from './state.ts';
import type { Turn } from './turn.ts';

/**
 * Back to an earlier version, by its hash. Not while nodes work on a round: what they train is a delta to the version
 * that is being withdrawn, and a paused run says to everyone that nothing is to be expected of it. A round that a pause
 * holds in its middle is dropped.
 */
export function rollBack(turn: Turn, { to, reason }: Extract<RoundInput, { kind: 'rollBack' }>): void {
  const { state } = turn;
  const { runId, lifecycle, phase, adapter } = state;
  if (lifecycle === 'running' && phase !== 'waiting')
    throw refused(
      `run ${runId} is ${phase} in round ${state.round + 1}; pause it first, or wait until the round is over`,
    );
  const version = findVersion(state, to);
  if (version === undefined) {
    throw new WeftError(
      'WEFT_RUN_VERSION_UNKNOWN',
      `${to.slice(0, 64)} is none of the ${state.versions.length} versions that run ${runId} has made`,
    );
  }
  if (to === adapter.sha256) throw refused(`run ${runId} is at version ${to} already`);
  if (isHeldInRound(state)) {
    const message = `round ${state.round + 1} began from adapter ${adapter.sha256}, and the run was rolled back to ${to}`;
    turn.dropRound({ code: 'WEFT_ROUND_ROLLED_BACK', message });
  }
  turn.change({ enoughSince: undefined });
  const data = { adapter: version.adapter, from: adapter.sha256, ...(reason !== undefined && { reason }) };
  turn.record({ kind: 'run.rolledBack', data });
}

/** Neither between rounds nor in the evaluation after the last one. */
const isHeldInRound = ({ lifecycle, resumePhase, candidate }: RunState): boolean =>
  lifecycle === 'paused' && resumePhase !== 'waiting' && (resumePhase !== 'evaluating' || candidate !== undefined);

const refused = (message: string): WeftError => new WeftError('WEFT_RUN_STATE', message);
