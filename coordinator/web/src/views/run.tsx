import { useEffect } from 'preact/hooks';
import type { RunDetailView } from '@weft/shared';
import { formatBytes, formatEpsilon, formatLoss, formatTime } from '../format.ts';
import { describeLosses, describeWithdrawn, lossName, lossSeries } from '../state/loss-series.ts';
import { roundOf } from '../state/round-of.ts';
import { toHref } from '../state/route.ts';
import { detail, detailProblem } from '../state/store.ts';
import { verifyCommand } from '../state/verify-command.ts';
import { AdapterDownload } from './adapter-download.tsx';
import { useAnnounced } from './announced.ts';
import { Badge } from './badge.tsx';
import { CommandLine } from './command-line.tsx';
import { CurrentRound } from './current-round.tsx';
import { LossPlot } from './loss-plot.tsx';
import { ProblemNote } from './problem.tsx';
import { Protection } from './protection.tsx';
import { Rounds } from './rounds.tsx';
import { RunActions } from './run-actions.tsx';
import { Versions } from './versions.tsx';

/** What the newest round that had members withstands. */
function Withstands({ run }: { run: RunDetailView }) {
  const sizes = run.roundsDone.findLast(({ secure }) => secure !== null)?.secure;
  const plain = run.spec.aggregation.mode === 'plain';
  return (
    <div>
      <dt>Colluders withstood</dt>
      <dd>{plain ? 'none' : (sizes?.colluders ?? '–')}</dd>
      <dd class="under">
        {plain
          ? 'mode plain: the coordinator reads each delta'
          : sizes
            ? `beside the coordinator, of ${sizes.members} members`
            : 'known once members have sent keys'}
      </dd>
    </div>
  );
}

function Facts({ run }: { run: RunDetailView }) {
  const series = lossSeries(run);
  const { losses } = series;
  const first = losses[0];
  const last = losses.at(-1);
  const sum = (direction: 'bytesUp' | 'bytesDown'): number =>
    run.roundsDone.flatMap(({ nodes }) => nodes).reduce((total, node) => total + node[direction], 0);
  return (
    <dl class="tiles">
      <div>
        <dt>Round</dt>
        <dd>{roundOf(run)}</dd>
        <dd class="under">
          <progress max={run.rounds} value={run.roundsCommitted} aria-label="Rounds committed" />
        </dd>
      </div>
      <div>
        <dt>{lossName(series)}</dt>
        <dd>{last === undefined ? '–' : formatLoss(last)}</dd>
        <dd class="under">
          {run.spec.evaluation.heldOutShare === 0 && losses.length === 0
            ? 'nodes hold nothing back'
            : first === undefined || last === undefined || losses.length < 2
              ? `nats a token${series.measured === 'held out' ? ', mean over nodes' : ''}`
              : `${last <= first ? '−' : '+'}${Math.abs(((last - first) / first) * 100).toFixed(1)} % since ${formatLoss(first)}`}
        </dd>
      </div>
      <div>
        <dt>From nodes</dt>
        <dd>{formatBytes(sum('bytesUp'))}</dd>
        <dd class="under">deltas received</dd>
      </div>
      <div>
        <dt>To nodes</dt>
        <dd>{formatBytes(sum('bytesDown'))}</dd>
        <dd class="under">adapters and models sent</dd>
      </div>
      <Withstands run={run} />
      {run.privacy !== null && (
        <div>
          <dt>Privacy spent</dt>
          <dd>ε {formatEpsilon(run.privacy.epsilonSpent)}</dd>
          <dd class="under">
            {formatEpsilon(run.privacy.epsilonPlanned)} after all rounds, δ {run.privacy.delta}
          </dd>
        </div>
      )}
    </dl>
  );
}

function Loss({ run }: { run: RunDetailView }) {
  const series = lossSeries(run);
  return (
    <section class="card" aria-labelledby="loss-title">
      <h2 id="loss-title">Loss by round</h2>
      <p>
        {run.spec.evaluation.heldOutShare === 0 && series.losses.length === 0
          ? 'The nodes of this run hold nothing back to measure a loss on (evaluation.heldOutShare is 0).'
          : describeLosses(series)}
      </p>
      {series.withdrawn > 0 && <p>{describeWithdrawn(series)}</p>}
      {series.losses.length > 0 && <LossPlot series={series} rounds={run.rounds} label={describeLosses(series)} />}
      {series.losses.length > 0 && (
        <p class="faint">
          {series.measured === 'held out'
            ? 'Token-weighted mean of what each node measures on the share of its data that it never trains on.'
            : 'Measured by this coordinator on the public file of the evaluation gate.'}
        </p>
      )}
    </section>
  );
}

/** The heading of a run comes with its answer: title and focus, if nobody has taken it elsewhere, follow then. */
const useHeading = (name: string | undefined): void => {
  useEffect(() => {
    if (name === undefined) return;
    document.title = `${name} · Weft`;
    if (document.activeElement === document.body) document.querySelector('h1')?.focus();
  }, [name]);
};

export function Run() {
  const run = detail.value;
  useAnnounced(run === undefined ? '' : `${run.name}: ${run.state}, round ${roundOf(run)}, ${run.phase}.`);
  useHeading(run?.name);
  if (run === undefined) {
    return (
      <>
        <h1 tabIndex={-1}>Run</h1>
        <ProblemNote problem={detailProblem.value}>
          <p>
            <a href={toHref({ name: 'runs' })}>Back to the runs</a>
          </p>
        </ProblemNote>
        {detailProblem.value === undefined && <p>Loading…</p>}
      </>
    );
  }
  return (
    <>
      <p class="path">
        <a href={toHref({ name: 'runs' })}>Runs</a>
      </p>
      <div class="title">
        <h1 tabIndex={-1}>{run.name}</h1>
        <Badge word={run.state} />
        <RunActions run={run} />
        {run.roundsCommitted > 0 && <AdapterDownload run={run} />}
      </div>
      {run.reason !== null && <p class="note">{run.reason}</p>}
      <Facts run={run} />
      <CurrentRound run={run} />
      <Loss run={run} />
      <Rounds run={run} />
      <Protection run={run} />
      <Versions run={run} />
      <details class="card">
        <summary>Spec and hashes</summary>
        <dl class="facts">
          <dt>Run</dt>
          <dd>
            <code>{run.id}</code>
          </dd>
          <dt>Created</dt>
          <dd>{formatTime(run.createdAt)}</dd>
          {run.endedAt !== null && (
            <>
              <dt>Ended</dt>
              <dd>{formatTime(run.endedAt)}</dd>
            </>
          )}
          <dt>Aggregation</dt>
          <dd>
            {run.spec.aggregation.rule}, {run.spec.aggregation.mode}
          </dd>
          <dt>Spec SHA-256</dt>
          <dd>
            <code>{run.specSha256}</code>
          </dd>
          <dt>Adapter SHA-256</dt>
          <dd>
            <code>{run.adapterSha256 ?? 'none yet'}</code>
          </dd>
        </dl>
        <CommandLine text={verifyCommand(location.origin, { runId: run.id })} what="verify command" />
        <pre>{JSON.stringify(run.spec, undefined, 2)}</pre>
      </details>
    </>
  );
}
