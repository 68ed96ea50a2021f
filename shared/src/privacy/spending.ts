import { type Epsilon, epsilonOf, renyiOrders, skellamRdp } from './accountant.ts';
import type { NoiseSettings } from './noise-settings.ts';
import { samplerDistance } from './skellam-table.ts';

/** What releases cost, in the two currencies that add up: Rényi divergence an order, and what goes to δ as it is. */
export interface Spending {
  /** One value an order of `renyiOrders`. */
  readonly rdp: Float64Array;
  readonly delta: number;
}

export const nothingSpent = (): Spending => ({ rdp: new Float64Array(renyiOrders.length), delta: 0 });

/** One round's sum, for a node that is in it: every node's own divergence at q = 1, and the sampler's distance. */
export const costOfRound = (settings: NoiseSettings): Spending => ({
  rdp: skellamRdp(settings),
  delta: samplerDistance({ dim: settings.dim, rounds: 1 }),
});

export const addSpending = (a: Spending, b: Spending): Spending => ({
  rdp: a.rdp.map((value, k) => value + b.rdp[k]!),
  delta: a.delta + b.delta,
});

/** ε of everything spent, under one δ; ∞ where the samplers alone have used δ up, 0 where nothing was spent. */
export function epsilonSpent({ rdp, delta: used }: Spending, delta: number): Epsilon {
  if (rdp.every((value) => value === 0)) return { epsilon: 0, order: renyiOrders[0]! };
  if (used >= delta) return { epsilon: Number.POSITIVE_INFINITY, order: renyiOrders[0]! };
  return epsilonOf(rdp, delta - used);
}
