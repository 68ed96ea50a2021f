import { Distances } from './distances.ts';
import { createRule, type Combine, type Rule, type RuleSettings } from './rule.ts';

/** What the float64 values of one range of all updates may take in memory. */
const rangeBytes = 32 * 2 ** 20;
/** Longer ranges make reading no faster. */
const longestRange = 2 ** 17;

/** Parameter ranges [from, to) that cover `values` coordinates. */
export function* rangesOf(values: number, nodes: number): Generator<{ from: number; to: number }> {
  const length = Math.max(1, Math.min(longestRange, Math.floor(rangeBytes / (8 * nodes))));
  for (let from = 0; from < values; from += length) yield { from, to: Math.min(values, from + length) };
}

/** How often, and for what, a rule wants every range. */
export const passesOf = (settings: RuleSettings): readonly ('measure' | 'combine')[] =>
  createRule(settings).looksAt === 'distances' ? ['measure', 'combine'] : ['combine'];

/** One aggregate by a rule: every range through `measure` where the rule wants it, then through `combine`. */
export class RuleAggregation {
  readonly aggregate: Float64Array;
  readonly #rule: Rule;
  readonly #distances: Distances;
  #combine: Combine | undefined;

  /** @param values coordinates of an update */
  constructor(settings: RuleSettings, nodes: number, values: number) {
    this.aggregate = new Float64Array(values);
    this.#rule = createRule(settings);
    this.#distances = new Distances(nodes);
  }

  /** @param updates [nodes][range] */
  measure(updates: readonly Float64Array[]): void {
    this.#distances.add(updates);
  }

  /** @param updates [nodes][range] from coordinate `from` on */
  combine(from: number, updates: readonly Float64Array[]): void {
    this.#combine ??= this.#rule.looksAt === 'coordinates' ? this.#rule.combine : this.#rule.decide(this.#distances);
    this.#combine(updates, this.aggregate.subarray(from, from + (updates[0]?.length ?? 0)));
  }
}

/** Whole updates in memory: for tests and tables. */
export function aggregateByRule(
  settings: RuleSettings,
  updates: readonly Float64Array[],
  rangeLength = Number.POSITIVE_INFINITY,
): Float64Array {
  const values = updates[0]?.length ?? 0;
  const aggregation = new RuleAggregation(settings, updates.length, values);
  for (const pass of passesOf(settings)) {
    for (let from = 0; from < values; from += rangeLength) {
      const range = updates.map((update) => update.subarray(from, from + rangeLength));
      if (pass === 'measure') aggregation.measure(range);
      else aggregation.combine(from, range);
    }
  }
  return aggregation.aggregate;
}
