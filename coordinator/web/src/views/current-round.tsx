import type { RoundNodeView, RoundView, RunDetailView } from '@weft/shared';
import { formatBytes, formatCount, formatLoss, formatSeconds, shortHash } from '../format.ts';
import { nodeProgress } from '../state/node-progress.ts';
import { roundOf } from '../state/round-of.ts';
import { roundSteps, type Step } from '../state/round-steps.ts';
import { live, liveKey, nodes } from '../state/store.ts';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';

const stepWords = { done: 'done', current: 'now', ahead: 'ahead' } as const;

function Stepper({ steps }: { steps: readonly Step[] }) {
  return (
    <ol class="steps">
      {steps.map(({ phase, meaning, state }) => (
        <li key={phase} class={state} aria-current={state === 'current' ? 'step' : undefined}>
          <span class="phase">{phase}</span>
          <span class="unseen">, {stepWords[state]}</span>
          <span class="meaning">{meaning}</span>
        </li>
      ))}
    </ol>
  );
}

function NodeRow({ run, round, node }: { run: RunDetailView; round: RoundView; node: RoundNodeView }) {
  const known = nodes.value?.find(({ id }) => id === node.nodeId);
  const name = known?.name ?? shortHash(node.nodeId);
  const progress = nodeProgress(node, round.round, live.value.get(liveKey(run.id, node.nodeId)));
  const showsBar = progress.fraction !== undefined;
  return (
    <tr>
      <th scope="row">
        <span class="name">{name}</span>
        {known?.connected === false && <span class="faint"> not connected</span>}
        {node.vouchedBy !== null && <code class="fingerprint">{node.vouchedBy}</code>}
        {node.reason !== null && <span class="reason">{node.reason}</span>}
      </th>
      <td>
        <Badge word={progress.stage} />{' '}
        {(node.membership === 'dropped' || node.membership === 'refused') && <Badge word={node.membership} />}
      </td>
      <td class="progress">
        {showsBar && (
          <>
            <progress max={1} value={progress.fraction} aria-label={`${name}, ${progress.stage}`} />
            <span class="faint">
              {Math.round((progress.fraction ?? 0) * 100)} %
              {progress.tokensPerSecond > 0 && `, ${formatCount(progress.tokensPerSecond)} tokens/s`}
            </span>
          </>
        )}
      </td>
      <td class="number">{node.heldOutLoss === null ? '–' : formatLoss(node.heldOutLoss)}</td>
      <td class="number">{formatBytes(node.bytesUp)}</td>
      <td class="number">{formatBytes(node.bytesDown)}</td>
      <td class="number">{node.trainingMs === null ? '–' : formatSeconds(node.trainingMs / 1000)}</td>
    </tr>
  );
}

const factorWords = { A: 'factor A', B: 'factor B', both: 'both factors' } as const;

/** The round that is under way, or the last one: its phases and what each node does in it. */
export function CurrentRound({ run }: { run: RunDetailView }) {
  const round = run.roundsDone.at(-1);
  const ended = run.state === 'finished' || run.state === 'stopped' || run.state === 'aborted';
  return (
    <section class="card" aria-labelledby="round-title">
      <h2 id="round-title">
        {ended && round !== undefined ? `Ended after round ${roundOf(run)}` : `Round ${roundOf(run)}`}
        {round !== undefined && (
          <span class="faint">
            {' '}
            {ended ? 'trained' : 'trains'} {factorWords[round.factor]}
          </span>
        )}
      </h2>
      <Stepper steps={roundSteps(run, run.spec.aggregation.mode)} />
      {round === undefined || round.nodes.length === 0 ? (
        <p class="empty">
          {run.state === 'created'
            ? 'The run has not begun. Start it when the nodes are connected.'
            : `No node takes part yet. The round begins when ${run.spec.cohort.minimum === 1 ? 'one approved node is' : `${run.spec.cohort.minimum} approved nodes are`} connected.`}
        </p>
      ) : (
        <Table
          label="Table of the nodes in this round"
          head={['Node', 'Stage', 'Progress', 'Held-out loss', 'Sent', 'Received', 'Training']}
        >
          {round.nodes.map((node) => (
            <NodeRow key={node.nodeId} run={run} round={round} node={node} />
          ))}
        </Table>
      )}
    </section>
  );
}
