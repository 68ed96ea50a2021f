import {
  factorSize,
  noiseOf,
  privacy,
  trainedFactor,
  type AdapterLayout,
  type RunDetailView,
  type RunSpec,
  type TrainedFactor,
} from '@weft/shared';

/**
 * ε of what a run has released so far, and of the whole of it, for a node that is in every round. A node's own ledger
 * may say more: it also counts what it sent into rounds that then failed.
 */
export function privacyView(
  { spec, roundsDone, roundsCommitted }: Pick<RunDetailView, 'spec' | 'roundsDone' | 'roundsCommitted'>,
  layout: AdapterLayout,
): RunDetailView['privacy'] {
  if (spec.privacy === undefined) return null;
  const { delta } = spec.privacy;
  const cost = costs(spec, layout);
  const committed = roundsDone.filter(({ adapterAfter }) => adapterAfter !== null);
  const spent = committed.map(({ factor }) => factor);
  // What was rolled back had left the nodes all the same; the rounds after it are done once more.
  const ahead = Array.from({ length: spec.rounds - roundsCommitted }, (_, round) =>
    trainedFactor(spec.adapter.schedule, roundsCommitted + round),
  );
  const epsilonOf = (factors: readonly TrainedFactor[]): number =>
    privacy.epsilonSpent(factors.map(cost).reduce(privacy.addSpending, privacy.nothingSpent()), delta).epsilon;
  const epsilonPlanned = epsilonOf([...spent, ...ahead]);
  return {
    epsilonSpent: epsilonOf(spent),
    delta,
    epsilonPlanned,
    verdict: privacy.isMeaningless(epsilonPlanned)
      ? 'That promises next to nothing: the guarantee of this run is secure aggregation only.'
      : 'It holds for each node over the whole run, whatever its records are.',
  };
}

function costs(spec: RunSpec, layout: AdapterLayout): (factor: TrainedFactor) => privacy.Spending {
  const known = new Map<TrainedFactor, privacy.Spending>();
  return (factor) => {
    const cost = known.get(factor) ?? privacy.costOfRound(noiseOf(spec, factorSize(layout, factor))!);
    known.set(factor, cost);
    return cost;
  };
}
