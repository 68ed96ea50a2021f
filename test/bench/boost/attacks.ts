import type { SeededRandom } from '@weft/shared';

/** Published ways in which one node spoils an aggregate. Each gives the updates that it would try, longest allowed norm 1. */
export interface Attack {
  readonly name: string;
  /** @param honest [nodes − 1][values], which the attacker is taken to know */
  tries(honest: readonly Float64Array[], hostileNorm: number, random: SeededRandom): Float64Array[];
}

const normOf = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const scaled = (values: Float64Array, factor: number): Float64Array => values.map((value) => value * factor);
const toNorm = (values: Float64Array, norm: number): Float64Array => scaled(values, norm / (normOf(values) || 1));

const moments = (honest: readonly Float64Array[]) => {
  const mean = new Float64Array(honest[0]!.length);
  for (const update of honest) update.forEach((value, k) => (mean[k]! += value / honest.length));
  const deviation = mean.map((middle, k) =>
    Math.sqrt(honest.reduce((sum, update) => sum + (update[k]! - middle) ** 2, 0) / honest.length),
  );
  return { mean, deviation };
};

export const attacks: readonly Attack[] = [
  {
    // As far as the coordinator lets it, along the honest mean, against it, and in directions drawn at random.
    name: 'large vector',
    tries(honest, hostileNorm, random) {
      const { mean } = moments(honest);
      const drawn = Array.from({ length: 3 }, () => mean.map(() => random.uniform() - 0.5));
      const norms = [0.5, 1, 2, 3, 10, hostileNorm].filter((norm) => norm <= hostileNorm);
      return norms.flatMap((norm) => [mean, scaled(mean, -1), ...drawn].map((direction) => toNorm(direction, norm)));
    },
  },
  {
    // Xie, Koyejo, Gupta 2020, Fall of Empires, section 4: −ε times the honest mean.
    name: 'inner product',
    tries(honest) {
      const { mean } = moments(honest);
      return [0.1, 0.5, 1, 2, 5, 10, 50].map((epsilon) => scaled(mean, -epsilon));
    },
  },
  {
    // Baruch, Baruch, Goldberg 2019, A Little Is Enough, Algorithm 3: within z standard deviations of each coordinate.
    name: 'a little is enough',
    tries(honest) {
      const { mean, deviation } = moments(honest);
      return [-4, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 4].map((z) =>
        mean.map((middle, k) => middle + z * deviation[k]!),
      );
    },
  },
  {
    // One honest update in another node's name, so that rules which look for neighbours meet two.
    name: 'echo',
    tries: (honest) => honest.flatMap((update) => [update, scaled(update, 1.5)]),
  },
];
