import type { RoundView } from '@weft/shared';

export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** How many colluders a secure round withstands. */
export const withstands = ({ secure }: Pick<RoundView, 'secure'>): string => {
  if (secure === null) return '–';
  return secure.colluders === 0 ? 'none' : countOf(secure.colluders, 'colluder');
};

/** Of the members who must sign one cut; in shards, who open each of them. */
export const thresholdOf = ({ secure }: Pick<RoundView, 'secure'>): string => {
  if (secure === null) return '–';
  const signing = `${secure.cutThreshold} of ${secure.members}`;
  if (secure.shards.length === 1) return signing;
  const sizes = [...new Set(secure.shards.map(({ threshold, members }) => `${threshold} of ${members}`))];
  return `${signing}; in a shard ${sizes.join(' or ')}`;
};

/** Of all rounds, oldest first. */
export const refusedIn = (rounds: readonly RoundView[]) =>
  rounds.flatMap(({ round, refusedShards }) => refusedShards.map((shard) => ({ round, ...shard })));
