import { nodesIn } from '../state.ts';
import { Turn } from '../turn.ts';
import { passGate } from './gate.ts';
import { earliest, type Phase } from './phase.ts';
import { giveUpEnded } from './secure.ts';

/**
 * A sum before it is committed, by the gate where the spec has one. And after the last round: the nodes that are there
 * score the final adapter on what they held back.
 */
export const evaluating: Phase = {
  advance(turn) {
    if (turn.state.candidate !== undefined) {
      if (!giveUpEnded(turn)) passGate(turn, turn.state.candidate);
      return;
    }
    turn.dropSilent('offered');
    if (nodesIn(turn.state, 'offered').length > 0 && turn.now < turn.state.deadlineAt) return;
    turn.record({ kind: 'run.finished', data: { adapter: turn.state.adapter } });
    turn.endRun('finished', '');
  },
  dueAt: (state) => (state.candidate === undefined ? earliest(state.deadlineAt, Turn.leaseEnd(state)) : undefined),
  greet(turn, nodeId) {
    if (turn.state.candidate !== undefined) return;
    const stage = turn.state.participants.get(nodeId)?.stage;
    if (stage === 'offered' || stage === 'left') turn.offer(nodeId, 'evaluate');
  },
};
