import type { NodeId } from '@weft/shared';
import type { RunState } from '../state.ts';
import type { Turn } from '../turn.ts';

/** What one phase of a running run does by itself. */
export interface Phase {
  /** Moves on where the time or the facts are there. May enter another phase; the machine then asks that one. */
  advance(turn: Turn): void;
  /** When `advance` may do more than now, if nothing else happens. */
  dueAt(state: RunState): number | undefined;
  /** A session opened: say again what this node may have missed. */
  greet(turn: Turn, nodeId: NodeId): void;
}

export const earliest = (...times: (number | undefined)[]): number | undefined => {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
};
