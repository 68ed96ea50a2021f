import { refusalOfGate } from '@weft/shared';
import type { RoundInput } from '../inputs.ts';
import type { Candidate } from '../state.ts';
import type { Turn } from '../turn.ts';
import { commit } from './committing.ts';

/**
 * The evaluation gate: the adapter before and the one that would follow are scored on the spec's public file, one after
 * the other and each once. A worse one is not committed.
 */
export function passGate(turn: Turn, candidate: Candidate): void {
  const { adapter, gateScores, scoring, spec, round } = turn.state;
  const before = gateScores.get(adapter.sha256);
  const after = gateScores.get(candidate.adapter.sha256);
  if (before === undefined || after === undefined) {
    if (scoring) return;
    turn.change({ scoring: true });
    return turn.effect({ kind: 'gate', adapter: before === undefined ? adapter : candidate.adapter });
  }
  const comparison = { before, after };
  const refusal = refusalOfGate(comparison, spec.evaluation.gate?.greatestIncrease ?? 0);
  if (refusal === undefined) return commit(turn, candidate, comparison);
  turn.abortRound({ code: 'WEFT_GATE_REFUSED', message: `in round ${round + 1} ${refusal}` }, comparison);
}

/** A score is a fact about an adapter: it is kept also while the run is paused, or when its round is gone. */
export function takeGated(turn: Turn, input: Extract<RoundInput, { kind: 'gated' | 'gateFailed' }>): void {
  turn.change({ scoring: false });
  const { adapterSha256 } = input;
  if (input.kind === 'gated') {
    const { lossSum, tokens } = input;
    if (!turn.state.gateScores.has(adapterSha256))
      turn.record({ kind: 'gate.scored', data: { adapterSha256, lossSum, tokens } });
  } else if (turn.state.lifecycle === 'running' && turn.state.candidate !== undefined) {
    turn.record({ kind: 'run.paused', data: { reason: input.reason } });
  }
}
