import type { RoundView, RunDetailView } from '@weft/shared';
import { formatEpsilon, formatShare, shortHash } from '../format.ts';
import { cohortShares, membersOf } from '../state/organisations.ts';
import { roundLabel } from '../state/round-of.ts';
import { nodes } from '../state/store.ts';
import { countOf, refusedIn, thresholdOf, withstands } from '../state/secure-round.ts';
import { Badge } from './badge.tsx';
import { OrganisationName } from './organisation-name.tsx';
import { Table } from './table.tsx';

const nodeName = (id: string): string => nodes.value?.find((node) => node.id === id)?.name ?? shortHash(id);

/** Of each round who was in it, and what the members could rely on. */
function RoundsTable({ run, rounds }: { run: RunDetailView; rounds: readonly RoundView[] }) {
  const secure = run.spec.aggregation.mode === 'secure';
  const spent = new Map(run.privacy?.byRound.map(({ round, epsilonSpent }) => [round, epsilonSpent]));
  const head = [
    'Round',
    'Members',
    'Summed',
    'Dropped',
    ...(secure ? ['Withstands', 'Threshold', 'Shards'] : []),
    'Organisations',
    ...(run.privacy === null ? [] : ['ε so far']),
  ];
  return (
    <Table label="Members and protection of each round" head={head} dense>
      {rounds.toReversed().map((round) => {
        const { cohort, summed, dropped } = membersOf(round);
        const isOver = round.adapterAfter !== null;
        const epsilon = spent.get(round.round);
        return (
          <tr key={round.round} class={round.withdrawn ? 'withdrawn' : undefined}>
            <th scope="row">
              {roundLabel(round.round)} {round.phase === 'aborted' && <Badge word="aborted" />}
              {round.withdrawn && <Badge word="withdrawn" />}
            </th>
            <td class="number">{cohort}</td>
            <td class="number">{isOver ? summed : '–'}</td>
            <td class="number">{dropped}</td>
            {secure && (
              <>
                <td>{withstands(round)}</td>
                <td>{thresholdOf(round)}</td>
                <td>
                  {round.secure === null ? '–' : round.secure.shards.length}{' '}
                  {round.refusedShards.length > 0 && (
                    <Badge word="refused" label={`${round.refusedShards.length} refused`} />
                  )}
                </td>
              </>
            )}
            <td class="number">{round.organisations}</td>
            {run.privacy !== null && <td class="number">{epsilon === undefined ? '–' : formatEpsilon(epsilon)}</td>}
          </tr>
        );
      })}
    </Table>
  );
}

/** Sums that were left out: each with its reason, and who was in it. */
function RefusedShards({ rounds }: { rounds: readonly RoundView[] }) {
  const refused = refusedIn(rounds);
  if (refused.length === 0) return null;
  return (
    <section aria-labelledby="refused-title">
      <h3 id="refused-title">Refused shards</h3>
      <ul>
        {refused.map(({ round, nodeIds, because }) => (
          <li key={`${round} ${nodeIds[0]}`}>
            Round {roundLabel(round)}: the sum of a shard of {countOf(nodeIds.length, 'member')} was left out, because{' '}
            {because}
            <details>
              <summary>Its members</summary>
              {nodeIds.map(nodeName).join(', ')}
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Whose members the newest cohort has, beside how many colluders it withstands. */
function Organisations({ run, round }: { run: RunDetailView; round: RoundView }) {
  const { perOrganisation } = run.spec.cohort;
  const colluders = round.secure?.colluders;
  return (
    <section aria-labelledby="shares-title">
      <h3 id="shares-title">Organisations in round {roundLabel(round.round)}</h3>
      <Table
        label={`Organisations in the cohort of round ${roundLabel(round.round)}`}
        head={[
          'Organisation',
          'Members',
          'Share of the cohort',
          'Summed',
          ...(colluders === undefined ? [] : ['If all collude with the coordinator']),
        ]}
      >
        {cohortShares(round).map(({ fingerprint, members, summed, share }) => (
          <tr key={fingerprint ?? 'none'}>
            <th scope="row">
              <OrganisationName fingerprint={fingerprint} />
            </th>
            <td class="number">{members}</td>
            <td class="number">{formatShare(share)}</td>
            <td class="number">{round.adapterAfter === null ? '–' : summed}</td>
            {colluders !== undefined && (
              <td>
                <Badge word={members <= colluders ? 'withstood' : 'not withstood'} />
              </td>
            )}
          </tr>
        ))}
      </Table>
      <p class="faint">
        {perOrganisation === undefined
          ? 'This run does not limit the members of one organisation (cohort.perOrganisation).'
          : `At most ${countOf(perOrganisation, 'member')} of one organisation (cohort.perOrganisation); nodes of none count as one organisation together.`}
        {colluders !== undefined &&
          ' Members of no organisation could all be the coordinator’s own, which is why a policy that lists trustedOrganisations counts them as colluders.'}
      </p>
    </section>
  );
}

/** Against whom each round protected its members, from what its members could compute themselves. */
export function Protection({ run }: { run: RunDetailView }) {
  const rounds = run.roundsDone.filter((round) => membersOf(round).cohort > 0);
  const newest = rounds.at(-1);
  const secure = run.spec.aggregation.mode === 'secure';
  const { clipNorms, nodes: members, because } = run.boost;
  return (
    <section class="card" aria-labelledby="protection-title">
      <h2 id="protection-title">Protection</h2>
      <p>
        {secure
          ? 'Mode secure: the coordinator learns the sum of the members’ deltas and no single one.'
          : 'Mode plain: the coordinator can read the delta of each member. Nobody has to collude for that.'}
      </p>
      {rounds.length > 0 && <RoundsTable run={run} rounds={rounds} />}
      {secure && rounds.length > 0 && (
        <p class="faint">
          Withstands: members that may tell the coordinator everything they know without a single delta being learnt;
          one more is the fewest that could learn one. Threshold: members that must sign who is summed, or, in shards,
          that open one. Dropped: members whose delta is in no sum.
        </p>
      )}
      <RefusedShards rounds={rounds} />
      {newest !== undefined && <Organisations run={run} round={newest} />}
      <p>
        In the smallest cohort of this run, {countOf(members, 'node')}, one that is hostile moves the result by{' '}
        {clipNorms === null
          ? 'an amount that no bound is known for'
          : `${Number(clipNorms.toPrecision(3))} clip norms at most`}
        : {because}.
      </p>
      {run.privacy !== null && (
        <p>
          Noise: ε = {formatEpsilon(run.privacy.epsilonSpent)} spent so far and{' '}
          {formatEpsilon(run.privacy.epsilonPlanned)} after all rounds, at δ = {run.privacy.delta}, for a node that is
          in all of them. {run.privacy.verdict}
        </p>
      )}
    </section>
  );
}
