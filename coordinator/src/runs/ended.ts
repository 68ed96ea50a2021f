import type { CoordinatorSays } from '../federation/ports.ts';
import { hasEnded, type RunState } from '../round/index.ts';
import type { Store } from '../store/store.ts';
import { adapterRef } from './offers.ts';

/**
 * What a node that was away is told of a run, and of the last round that it was offered, as whoever was there was told.
 * @returns undefined where that round goes on
 */
export function endedFor(store: Store, state: RunState, round: number): CoordinatorSays | undefined {
  const { runId, adapter } = state;
  if (hasEnded(state)) {
    const reason = state.lifecycle === 'aborted' ? (state.reason?.message ?? '') : '';
    return { case: 'runEnded', value: { runId, outcome: state.lifecycle, adapter: adapterRef(adapter), reason } };
  }
  const [row] = store.read({ runId, round, kinds: ['round.committed', 'round.aborted'] });
  if (row === undefined) return undefined;
  const result =
    row.kind === 'round.committed'
      ? { committed: true, adapter: row.data.adapter, reason: '', contributors: row.data.nodeIds.length }
      : { committed: false, adapter, reason: row.data.reason.code, contributors: 0 };
  return { case: 'roundResult', value: { runId, round, ...result, adapter: adapterRef(result.adapter) } };
}
