/** Places where a process may die between two durable facts. Tests kill it there; nothing else listens. */
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
] as const;
export type Point = (typeof points)[number];
export type OnPoint = (point: Point) => void;
