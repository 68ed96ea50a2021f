import { useState } from 'preact/hooks';
import type { RunDetailView, VersionView } from '@weft/shared';
import { formatLoss, formatTime, shortHash } from '../format.ts';
import { request } from '../state/request.ts';
import { roundLabel } from '../state/round-of.ts';
import { announcement, reloadDetail, reloadRuns } from '../state/store.ts';
import { Badge } from './badge.tsx';
import { Confirm } from './confirm.tsx';
import { Table } from './table.tsx';

const head = ['Version', 'Rounds behind it', 'Loss at the gate', 'Made', 'Adapter', 'Go back'] as const;

/** While nodes work on a round it cannot be taken from under them. */
const mayRollBack = ({ state, phase }: RunDetailView): boolean => state !== 'running' || phase === 'waiting';

/** Every adapter that the run made, newest first, with the way back to it. */
export function Versions({ run }: { run: RunDetailView }) {
  const [asked, setAsked] = useState<VersionView | undefined>(undefined);
  if (run.versions.length < 2) return null;
  const withdrawn = new Set(run.roundsDone.flatMap((round) => (round.withdrawn ? (round.adapterAfter ?? []) : [])));
  const rollBack = async (to: string): Promise<void> => {
    await request('POST', `/api/runs/${encodeURIComponent(run.id)}/rollback`, { to });
    announcement.value = `${run.name} was rolled back to ${shortHash(to)}.`;
    await Promise.all([reloadDetail(), reloadRuns()]);
  };
  return (
    <section class="card" aria-labelledby="versions-title">
      <h2 id="versions-title">Versions</h2>
      <Table label="Versions of the adapter" head={head}>
        {run.versions.toReversed().map((version) => (
          <tr key={`${version.round} ${version.adapterSha256}`}>
            <th scope="row">
              {version.round === null ? 'first' : roundLabel(version.round)}{' '}
              {version.current && <Badge word="accepted" label="current" />}
              {withdrawn.has(version.adapterSha256) && <Badge word="withdrawn" />}
            </th>
            <td class="number">{version.roundsCommitted}</td>
            <td class="number">{version.gateLoss === null ? '–' : formatLoss(version.gateLoss)}</td>
            <td>{formatTime(version.at)}</td>
            <td>
              <code title={version.adapterSha256}>{shortHash(version.adapterSha256)}</code>
            </td>
            <td>
              {version.adapterSha256 !== run.adapterSha256 && mayRollBack(run) && (
                <button
                  type="button"
                  aria-label={`Roll back to ${shortHash(version.adapterSha256)}`}
                  onClick={() => setAsked(version)}
                >
                  Roll back
                </button>
              )}
            </td>
          </tr>
        ))}
      </Table>
      {!mayRollBack(run) && (
        <p class="faint">To roll back, pause the run first: nodes are training from the current version.</p>
      )}
      {asked !== undefined && (
        <Confirm
          title={`Roll ${run.name} back to ${shortHash(asked.adapterSha256)}?`}
          confirmLabel="Roll back"
          onConfirm={async () => rollBack(asked.adapterSha256)}
          onClose={() => setAsked(undefined)}
        >
          <p>
            {run.endedAt === null
              ? 'The run goes on from this version and exports it'
              : 'The run has ended, and from now on it exports this version'}
            , {asked.roundsCommitted} of {run.rounds} rounds behind it.{' '}
            {run.state === 'paused' && 'A round that the pause holds is dropped. '}
            Later versions stay here and can be returned to; the public log says that the run went back. Who downloaded
            a later version keeps it.
          </p>
        </Confirm>
      )}
    </section>
  );
}
