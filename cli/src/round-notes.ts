import type { RoundNodeView, RunDetailView } from '@weft/shared';

/** What `weft run show` says below its table of rounds. */
type Rounds = Pick<RunDetailView, 'roundsDone'>;

/**
 * What the run is at: the newest round that was committed and all since. A round that has only just begun knows nothing yet;
 * what stopped the one before it is still what the admin must hear.
 */
const current = ({ roundsDone }: Rounds): Rounds['roundsDone'] =>
  roundsDone.slice(
    Math.max(
      0,
      roundsDone.findLastIndex(({ phase }) => phase === 'finished'),
    ),
  );

/** Why the newest of the rounds that were aborted since then was. */
const failure = (run: Rounds): string => {
  const last = current(run).findLast(({ reason }) => reason !== null);
  return last === undefined ? '' : `round ${last.round + 1} aborted: ${last.reason}\n`;
};

/** Shards whose sum was left out, of every round: its adapter is made of fewer updates than were sent. */
const refusals = ({ roundsDone }: Rounds): string =>
  roundsDone
    .flatMap(({ round, refusedShards }) =>
      refusedShards.map(
        ({ nodeIds, because }) =>
          `round ${round + 1}: the sum of a shard of ${nodeIds.length} nodes was refused: ${because}; --json lists them\n`,
      ),
    )
    .join('');

const isAway = ({ stage, reason }: RoundNodeView): boolean =>
  stage === 'declined' || (stage === 'left' && reason !== null);

/** Who took no part in the newest round of these that somebody stayed away from, and why. */
const absences = (run: Rounds): string => {
  const last = current(run).findLast(({ nodes }) => nodes.some(isAway));
  const away = last?.nodes.filter(isAway) ?? [];
  return away
    .map(({ nodeId, stage, reason }) => `round ${(last?.round ?? 0) + 1}: ${nodeId} ${stage}: ${reason}\n`)
    .join('');
};

export const roundNotes = (run: Rounds): string => `${failure(run)}${refusals(run)}${absences(run)}`;
