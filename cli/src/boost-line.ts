import type { RunDetailView } from '@weft/shared';

/** How far a single hostile node can move what a round makes, beside what an honest one moves it. */
export const boostLine = ({ clipNorms, nodes, because }: RunDetailView['boost']): string =>
  clipNorms === null
    ? `moves the aggregate of ${nodes} by an amount that no bound is known for: ${because}`
    : `moves the aggregate of ${nodes} by ${Number(clipNorms.toPrecision(3))} clip norms at most: ${because}`;
