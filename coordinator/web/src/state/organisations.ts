import type { NodeView, RoundView } from '@weft/shared';

/** An organisation by the key that signed for its nodes; without a key, all nodes that nobody signed for. */
export interface Organisation {
  readonly key: string | null;
  readonly fingerprint: string | null;
  /** As the operators of its nodes typed it: nobody checks that. */
  readonly names: readonly string[];
  readonly approved: number;
  readonly connected: number;
  readonly pending: number;
}

const count = (nodes: readonly NodeView[], matches: (node: NodeView) => boolean): number =>
  nodes.filter(matches).length;

/** Of all nodes that were not revoked: the largest organisation first, those of none last. */
export const organisationsOf = (nodes: readonly NodeView[]): Organisation[] =>
  [
    ...Map.groupBy(
      nodes.filter(({ state }) => state !== 'revoked'),
      ({ vouchedBy }) => vouchedBy,
    ),
  ]
    .map(([fingerprint, own]) => ({
      key: own[0]?.organisationKey ?? null,
      fingerprint,
      names: namesIn(own),
      approved: count(own, ({ state }) => state === 'approved'),
      connected: count(own, ({ connected }) => connected),
      pending: count(own, ({ state }) => state === 'pending'),
    }))
    .toSorted(
      (a, b) =>
        Number(a.fingerprint === null) - Number(b.fingerprint === null) ||
        b.approved - a.approved ||
        (a.fingerprint ?? '').localeCompare(b.fingerprint ?? ''),
    );

export const namesIn = (nodes: readonly NodeView[]): string[] =>
  [...new Set(nodes.flatMap(({ organisation }) => (organisation === '' ? [] : [organisation])))].toSorted();

/** What an organisation has in the cohort of a round. */
export interface CohortShare {
  readonly fingerprint: string | null;
  readonly members: number;
  readonly summed: number;
  /** Of the whole cohort. */
  readonly share: number;
}

/** The members of a round by the organisation that signed for them, the most first, those of none last. */
export const cohortShares = ({ nodes }: Pick<RoundView, 'nodes'>): CohortShare[] => {
  const members = nodes.filter(({ membership }) => membership !== 'none');
  return [...Map.groupBy(members, ({ vouchedBy }) => vouchedBy)]
    .map(([fingerprint, own]) => ({
      fingerprint,
      members: own.length,
      summed: own.filter(({ membership }) => membership === 'summed').length,
      share: own.length / members.length,
    }))
    .toSorted((a, b) => Number(a.fingerprint === null) - Number(b.fingerprint === null) || b.members - a.members);
};

/** How many members of a round are where. */
export const membersOf = ({ nodes }: Pick<RoundView, 'nodes'>) => {
  const number = (...of: string[]): number => nodes.filter(({ membership }) => of.includes(membership)).length;
  return {
    cohort: number('member', 'dropped', 'summed', 'refused'),
    dropped: number('dropped'),
    summed: number('summed'),
    refused: number('refused'),
  };
};
