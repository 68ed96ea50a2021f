import type { RoundView, RunDetailView } from '@weft/shared';
import { formatBytes, formatLoss, formatSeconds, formatShare, shortHash } from '../format.ts';
import { roundLabel } from '../state/round-of.ts';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';

const or = <Value,>(value: Value | null, format: (value: Value) => string): string =>
  value === null ? '–' : format(value);

const sent = (round: RoundView, direction: 'bytesUp' | 'bytesDown'): string =>
  formatBytes(round.nodes.reduce((total, node) => total + node[direction], 0));

const formatGate = ({ lossBefore, lossAfter }: NonNullable<RoundView['gate']>): string =>
  `${or(lossBefore, formatLoss)} → ${or(lossAfter, formatLoss)}`;

const head = [
  'Round',
  'Trains',
  'Loss at start',
  'Updates',
  'Clipped',
  'Saturated',
  'Delta norm',
  'Gate',
  'From nodes',
  'To nodes',
  'Training',
  'Transfer',
  'Aggregation',
  'Adapter',
] as const;

/** Every number of the plot and what each round cost, newest round first. */
export function Rounds({ run }: { run: RunDetailView }) {
  if (run.roundsDone.length === 0) return null;
  const failed = run.roundsDone.findLast(({ reason }) => reason !== null);
  return (
    <section class="card" aria-labelledby="rounds-title">
      <h2 id="rounds-title">Rounds</h2>
      <Table label="Table of rounds" head={head} dense>
        {run.finalHeldOutLoss !== null && (
          <tr>
            <th scope="row">after the last</th>
            <td />
            <td class="number">{formatLoss(run.finalHeldOutLoss)}</td>
            <td colSpan={11} class="faint">
              loss of the final adapter
            </td>
          </tr>
        )}
        {run.roundsDone.toReversed().map((round) => (
          <tr key={round.round}>
            <th scope="row">
              {roundLabel(round.round)} {round.phase === 'aborted' && <Badge word="aborted" />}
            </th>
            <td>{round.factor}</td>
            <td class="number">{or(round.heldOutLoss, formatLoss)}</td>
            <td class="number">{round.contributors}</td>
            <td class="number">{or(round.clippedShare, formatShare)}</td>
            <td class="number">{or(round.saturatedShare, formatShare)}</td>
            <td class="number">{or(round.deltaNormL2, (norm) => norm.toPrecision(3))}</td>
            <td class="number">{or(round.gate, formatGate)}</td>
            <td class="number">{sent(round, 'bytesUp')}</td>
            <td class="number">{sent(round, 'bytesDown')}</td>
            <td class="number">{formatSeconds(round.seconds.training)}</td>
            <td class="number">{formatSeconds(round.seconds.transfer)}</td>
            <td class="number">{formatSeconds(round.seconds.aggregation)}</td>
            <td>
              {round.adapterAfter === null ? (
                '–'
              ) : (
                <code title={round.adapterAfter}>{shortHash(round.adapterAfter)}</code>
              )}
            </td>
          </tr>
        ))}
      </Table>
      {failed !== undefined && (
        <p>
          Round {roundLabel(failed.round)} aborted: {failed.reason}
        </p>
      )}
      <p class="faint">
        {run.spec.evaluation.gate !== undefined &&
          `Gate: loss on its public file before and after; a round in which it rises by more than ${formatShare(run.spec.evaluation.gate.greatestIncrease)} is not committed. `}
        Clipped: share of the updates cut to the clip norm, {run.spec.aggregation.clipNormL2}. Saturated: share of all
        values that met the end of the number range.
      </p>
    </section>
  );
}
