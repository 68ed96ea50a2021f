import type { RunDetailView } from '@weft/shared';

/** What `weft run show` says below its table of rounds. */
type Rounds = Pick<RunDetailView, 'roundsDone'>;

/** Why the newest round was aborted. */
const failure = ({ roundsDone }: Rounds): string => {
  const last = roundsDone.at(-1);
  return last === undefined || last.reason === null ? '' : `round ${last.round} aborted: ${last.reason}\n`;
};

/** Shards whose sum was left out, of every round: its adapter is made of fewer updates than were sent. */
const refusals = ({ roundsDone }: Rounds): string =>
  roundsDone
    .flatMap(({ round, refusedShards }) =>
      refusedShards.map(
        ({ nodeIds, because }) =>
          `round ${round}: the sum of a shard of ${nodeIds.length} nodes was refused: ${because}; --json lists them\n`,
      ),
    )
    .join('');

/** Who took no part in the newest round, and why. */
const absences = ({ roundsDone }: Rounds): string => {
  const last = roundsDone.at(-1);
  const away = (last?.nodes ?? []).filter(({ stage, reason }) => stage === 'declined' || (stage === 'left' && reason));
  return away.map(({ nodeId, stage, reason }) => `round ${last?.round}: ${nodeId} ${stage}: ${reason}\n`).join('');
};

export const roundNotes = (run: Rounds): string => `${failure(run)}${refusals(run)}${absences(run)}`;
