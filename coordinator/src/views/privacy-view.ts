import {
  costOfUpdate,
  factorSize,
  privacy,
  trainedFactor,
  updateEncoding,
  type AdapterLayout,
  type RunDetailView,
  type RunSpec,
  type TrainedFactor,
} from '@weft/shared';

/**
 * ε of what a run has released so far, and of the whole of it, for a node that is in every round. A sum that was refused
 * once it was open counts as one that was committed. A node's own ledger may say more: it also counts what it sent into
 * rounds that failed before.
 */
export function privacyView(
  { spec, roundsDone, roundsCommitted }: Pick<RunDetailView, 'spec' | 'roundsDone' | 'roundsCommitted'>,
  layout: AdapterLayout,
): RunDetailView['privacy'] {
  if (spec.privacy === undefined) return null;
  const { delta } = spec.privacy;
  const cost = costs(spec, layout);
  const released = roundsDone.filter((round) => round.released);
  // A norm that adapts changes the cost by what rounding adds to it, a hair: the first one stands for the rounds to come.
  const { clipNormL2 } = spec.aggregation;
  // What was rolled back had left the nodes all the same; the rounds after it are done once more.
  const begun = roundsCommitted + released.filter(({ endedAt }) => endedAt === null).length;
  const ahead = Array.from({ length: Math.max(0, spec.rounds - begun) }, (_, round) => ({
    factor: trainedFactor(spec.adapter.schedule, begun + round),
    clipNormL2,
  }));
  let spent = privacy.nothingSpent();
  const epsilonAfter = (round: PaidRound): number => {
    spent = privacy.addSpending(spent, cost(round));
    return privacy.epsilonSpent(spent, delta).epsilon;
  };
  const byRound = released.map((round) => ({ round: round.round, epsilonSpent: epsilonAfter(round) }));
  const epsilonSpent = byRound.at(-1)?.epsilonSpent ?? 0;
  for (const round of ahead) spent = privacy.addSpending(spent, cost(round));
  const epsilonPlanned = privacy.epsilonSpent(spent, delta).epsilon;
  return {
    epsilonSpent,
    delta,
    epsilonPlanned,
    byRound,
    verdict: privacy.isMeaningless(epsilonPlanned)
      ? 'That promises next to nothing: the guarantee of this run is secure aggregation only.'
      : 'It holds for each node over the whole run, whatever its records are; each further sum that is refused once it is open adds a round to it.',
  };
}

interface PaidRound {
  readonly factor: TrainedFactor;
  readonly clipNormL2: number;
}

function costs(spec: RunSpec, layout: AdapterLayout): (round: PaidRound) => privacy.Spending {
  const known = new Map<string, privacy.Spending>();
  return ({ factor, clipNormL2 }) => {
    const key = `${factor} ${clipNormL2}`;
    const cost = known.get(key) ?? costOfUpdate(updateEncoding(spec, factorSize(layout, factor), clipNormL2))!;
    known.set(key, cost);
    return cost;
  };
}
