import { join } from 'node:path';
import { costOfUpdate, privacy, updateEncoding, WeftError, type RunSpec } from '@weft/shared';
import { appendCharge, type LedgerPlace, readLedger } from './ledger-file.ts';
import type { Charge } from './ledger-line.ts';

/** What the operator is willing to let his data spend, in all. */
export interface PrivacyBudget {
  readonly epsilon: number;
  readonly delta: number;
}

/** @param privacyLedger of the policy */
export const ledgerIn = (home: string, privacyLedger: string = 'home'): Required<LedgerPlace> => ({
  folder: privacyLedger === 'home' || privacyLedger === 'undecided' ? join(home, 'ledger') : privacyLedger,
  markFile: join(home, 'ledger-mark.json'),
});

export interface LedgerOptions {
  /** Its folder is shared by all agents that train on the same data, whatever their federations. */
  readonly place: LedgerPlace;
  /** Charges of one name add up. */
  readonly dataSet: string;
  /** Without one everything is counted and nothing refused. */
  readonly budget?: PrivacyBudget | undefined;
  /** At which δ a charge is told where there is no budget. */
  readonly delta?: number | undefined;
}

/** What one masked update cost, at one δ. */
export interface Cost {
  /** Of this round alone. */
  readonly epsilon: number;
  /** Of the data set with it, over every run. */
  readonly spent: number;
  readonly delta: number;
}

export interface RoundOfRun {
  readonly spec: RunSpec;
  /** Trained values. */
  readonly values: number;
  readonly clipNormL2: number;
}

export type ChargedRound = RoundOfRun & Pick<Charge, 'federationId' | 'runId' | 'round' | 'payloadSha256'>;

/** A node's memory of what it has spent. */
export interface PrivacyLedger {
  /**
   * Before training: whether a round of this run could be paid for.
   * @throws WEFT_PRIVACY_BUDGET_SPENT, WEFT_PRIVACY_NOISE_REQUIRED, WEFT_PRIVACY_LEDGER_DAMAGED
   */
  admit(round: RoundOfRun): Promise<void>;
  /**
   * Before the masked update leaves: durable when this resolves. The same payload again costs nothing. Throws as `admit` does.
   * @returns undefined for a run without noise
   */
  charge(round: ChargedRound): Promise<Cost | undefined>;
}

export function createPrivacyLedger({ place, dataSet, budget, delta = 1e-5 }: LedgerOptions): PrivacyLedger {
  const atDelta = budget?.delta ?? delta;
  const epsilonOf = (spending: privacy.Spending): number => privacy.epsilonSpent(spending, atDelta).epsilon;
  /** @returns undefined for a run without noise, which costs nothing that could be counted */
  const costOf = ({ spec, values, clipNormL2 }: RoundOfRun): privacy.Spending | undefined => {
    const cost = costOfUpdate(updateEncoding(spec, values, clipNormL2));
    if (cost === undefined && budget !== undefined) {
      throw new WeftError(
        'WEFT_PRIVACY_NOISE_REQUIRED',
        `this node has a privacy budget of ε = ${budget.epsilon}, and the run "${spec.name}" adds no noise: no budget would be enough for it`,
        { rule: 'privacyBudget', why: 'privacyBudget: the run adds no noise, and no budget would be enough for that' },
      );
    }
    return cost;
  };
  const require = (charges: readonly Charge[], cost: privacy.Spending): void => {
    if (budget === undefined) return;
    const spent = spentOn(charges, dataSet);
    const { epsilon } = privacy.epsilonSpent(privacy.addSpending(spent, cost), budget.delta);
    if (epsilon <= budget.epsilon) return;
    const before = privacy.epsilonSpent(spent, budget.delta).epsilon;
    throw new WeftError(
      'WEFT_PRIVACY_BUDGET_SPENT',
      `one more round would bring ε for "${dataSet}" from ${before.toFixed(3)} to ${epsilon.toFixed(3)} at δ = ${budget.delta}, the budget is ${budget.epsilon}`,
      {
        epsilon,
        budget: budget.epsilon,
        rule: 'privacyBudget',
        why: `privacyBudget: one more round would bring ε from ${before.toFixed(3)} to ${epsilon.toFixed(3)} at δ = ${budget.delta}, the budget is ${budget.epsilon}`,
      },
    );
  };
  return {
    async admit(round) {
      const cost = costOf(round);
      if (cost !== undefined) require((await readLedger(place)).charges, cost);
    },
    async charge(round) {
      const spending = costOf(round);
      if (spending === undefined) return undefined;
      let spent = spending;
      const { spec, federationId, runId, round: number, payloadSha256 } = round;
      await appendCharge(place, (charges) => {
        const isPaid = charges.some(
          (charge) =>
            charge.payloadSha256 === payloadSha256 &&
            charge.federationId === federationId &&
            charge.runId === runId &&
            charge.round === number,
        );
        spent = spentOn(charges, dataSet);
        if (isPaid) return undefined;
        require(charges, spending);
        spent = privacy.addSpending(spent, spending);
        return {
          at: new Date().toISOString(),
          dataSet,
          federationId,
          runId,
          runName: spec.name,
          round: number,
          payloadSha256,
          noiseMultiplier: spec.privacy!.noiseMultiplier,
          spending,
        };
      });
      return { epsilon: epsilonOf(spending), spent: epsilonOf(spent), delta: atDelta };
    },
  };
}

const spentOn = (charges: readonly Charge[], dataSet: string): privacy.Spending =>
  charges
    .filter((charge) => charge.dataSet === dataSet)
    .reduce((sum, { spending }) => privacy.addSpending(sum, spending), privacy.nothingSpent());

/** What one data set has spent, for its operator to read. */
export interface LedgerStatement {
  readonly dataSet: string;
  readonly epsilon: number;
  readonly delta: number;
  readonly rounds: number;
  readonly runs: number;
  readonly federations: number;
  readonly lastChargeAt: string;
}

/** @throws WEFT_PRIVACY_LEDGER_DAMAGED */
export async function readStatements(place: LedgerPlace, delta: number): Promise<LedgerStatement[]> {
  const { charges } = await readLedger(place);
  return [...new Set(charges.map(({ dataSet }) => dataSet))].map((dataSet) => {
    const own = charges.filter((charge) => charge.dataSet === dataSet);
    return {
      dataSet,
      epsilon: privacy.epsilonSpent(spentOn(own, dataSet), delta).epsilon,
      delta,
      rounds: own.length,
      runs: new Set(own.map(({ runId }) => runId)).size,
      federations: new Set(own.map(({ federationId }) => federationId)).size,
      lastChargeAt: own.at(-1)!.at,
    };
  });
}
