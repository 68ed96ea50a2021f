import type { ComponentChildren } from 'preact';
import type { RoundView, RunDetailView } from '@weft/shared';
import { formatBytes, formatLoss, formatSeconds, formatShare, shortHash } from '../format.ts';
import { roundLabel } from '../state/round-of.ts';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';

const or = <Value,>(value: Value | null, format: (value: Value) => string): string =>
  value === null ? '–' : format(value);

const sent = (round: RoundView, direction: 'bytesUp' | 'bytesDown'): string =>
  formatBytes(round.nodes.reduce((total, node) => total + node[direction], 0));

/** 0 is what a round has that did not come so far. */
const took = (seconds: number): string => (seconds === 0 ? '–' : formatSeconds(seconds));

function Gate({ gate }: Pick<RoundView, 'gate'>) {
  if (gate === null) return <>–</>;
  return (
    <>
      {or(gate.lossBefore, formatLoss)} → {or(gate.lossAfter, formatLoss)}{' '}
      <Badge word={gate.passed ? 'passed' : 'refused'} />
    </>
  );
}

interface Column {
  readonly name: string;
  readonly shown: boolean;
  readonly cell: (round: RoundView) => ComponentChildren;
}

/** What this run has something to say about: under secure aggregation nobody knows what was clipped. */
const columnsOf = ({ spec, roundsDone }: RunDetailView): Column[] => {
  const plain = spec.aggregation.mode === 'plain';
  const adaptive = spec.privacy?.adaptiveClipping === true;
  const columns: Column[] = [
    { name: 'Trains', shown: true, cell: ({ factor }) => factor },
    {
      name: 'Loss at start',
      shown: spec.evaluation.heldOutShare > 0,
      cell: ({ heldOutLoss }) => or(heldOutLoss, formatLoss),
    },
    { name: 'Updates', shown: true, cell: ({ contributors }) => contributors },
    { name: 'Clipped', shown: plain, cell: ({ clippedShare }) => or(clippedShare, formatShare) },
    { name: 'Saturated', shown: plain, cell: ({ saturatedShare }) => or(saturatedShare, formatShare) },
    { name: 'Clip norm', shown: adaptive, cell: ({ clipNormL2 }) => clipNormL2.toPrecision(3) },
    { name: 'Within it', shown: adaptive, cell: ({ withinShare }) => or(withinShare, formatShare) },
    { name: 'Delta norm', shown: true, cell: ({ deltaNormL2 }) => or(deltaNormL2, (norm) => norm.toPrecision(3)) },
    { name: 'Gate', shown: spec.evaluation.gate !== undefined, cell: (round) => <Gate gate={round.gate} /> },
    { name: 'From nodes', shown: true, cell: (round) => sent(round, 'bytesUp') },
    { name: 'To nodes', shown: true, cell: (round) => sent(round, 'bytesDown') },
    { name: 'Training', shown: true, cell: ({ seconds }) => took(seconds.training) },
    { name: 'Transfer', shown: true, cell: ({ seconds }) => took(seconds.transfer) },
    { name: 'Aggregation', shown: true, cell: ({ seconds }) => took(seconds.aggregation) },
    {
      name: 'Adapter',
      shown: roundsDone.some(({ adapterAfter }) => adapterAfter !== null),
      cell: ({ adapterAfter }) =>
        adapterAfter === null ? '–' : <code title={adapterAfter}>{shortHash(adapterAfter)}</code>,
    },
  ];
  return columns.filter(({ shown }) => shown);
};

/** What the numbers mean that only some runs have. */
const legend = ({ spec }: RunDetailView): string => {
  const { evaluation, privacy, aggregation } = spec;
  return [
    evaluation.gate !== undefined &&
      `Gate: loss on its public file before and after; a round in which it rises by more than ${formatShare(evaluation.gate.greatestIncrease)} is not committed.`,
    aggregation.mode === 'plain' &&
      `Clipped: share of the updates cut to the clip norm, ${aggregation.clipNormL2}. Saturated: share of all values that met the end of the number range.`,
    privacy?.adaptiveClipping === true &&
      `Clip norm: what updates are cut to, adapted from ${aggregation.clipNormL2} to their median. Within it: share of updates that needed no cut, noise included.`,
  ]
    .filter(Boolean)
    .join(' ');
};

/** Every number of the plot and what each round cost, newest round first. */
export function Rounds({ run }: { run: RunDetailView }) {
  if (run.roundsDone.length === 0) return null;
  const failed = run.roundsDone.findLast(({ reason }) => reason !== null);
  const columns = columnsOf(run);
  return (
    <section class="card" aria-labelledby="rounds-title">
      <h2 id="rounds-title">Rounds</h2>
      <Table label="Table of rounds" head={['Round', ...columns.map(({ name }) => name)]} dense>
        {run.finalHeldOutLoss !== null && (
          <tr>
            <th scope="row">after the last</th>
            <td />
            <td class="number">{formatLoss(run.finalHeldOutLoss)}</td>
            <td colSpan={columns.length - 2} class="faint">
              loss of the final adapter
            </td>
          </tr>
        )}
        {run.roundsDone.toReversed().map((round) => (
          <tr key={round.round} class={round.withdrawn ? 'withdrawn' : undefined}>
            <th scope="row">
              {roundLabel(round.round)} {round.phase === 'aborted' && <Badge word="aborted" />}
              {round.withdrawn && <Badge word="withdrawn" />}
            </th>
            {columns.map(({ name, cell }) => (
              <td key={name} class="number">
                {cell(round)}
              </td>
            ))}
          </tr>
        ))}
      </Table>
      {failed !== undefined && (
        <p>
          Round {roundLabel(failed.round)} aborted: {failed.reason}
        </p>
      )}
      {run.roundsDone.some(({ withdrawn }) => withdrawn) && (
        <p>
          Withdrawn: committed, and then the run was rolled back behind it. The run's adapter has nothing of it; what it
          cost the nodes in bytes and privacy stays spent.
        </p>
      )}
      {legend(run) !== '' && <p class="faint">{legend(run)}</p>}
    </section>
  );
}
