import type { NewEvent } from '../store/events.ts';

/** Messages of a secure session, each of which becomes a row; the offer is the row that begins it. */
const secureRows = ['offer', 'keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening', 'deadline'] as const;

/** Places of every run where a process may die between two durable facts. Tests kill it there; nothing else listens. */
export const points = [
  'mid-upload',
  'before-event-row',
  'after-event-row',
  'before-receipt',
  'after-receipt',
  'before-addition',
  'after-addition',
  'before-score',
  'before-score-row',
  'after-score-row',
  'before-commit',
  'after-commit',
  // Of what lies beside the rows: the log's leaves are written and no checkpoint names them, a round's bodies and no manifest.
  'before-checkpoint',
  'before-manifest',
] as const;
export type Point = (typeof points)[number] | `${'before' | 'after'}-${(typeof secureRows)[number]}-row`;

/** The name of a session's row among the points. */
export const secureRowOf = (events: readonly NewEvent[]): (typeof secureRows)[number] | undefined => {
  const moved = events.find((event) => event.kind === 'secagg.moved' || event.kind === 'secagg.opened');
  if (moved === undefined) return undefined;
  const name = moved.kind === 'secagg.opened' ? 'offer' : moved.data.kind;
  return secureRows.find((known) => known === name);
};
export type OnPoint = (point: Point) => void;
