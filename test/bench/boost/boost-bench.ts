import { aggregateByRule } from '@weft/coordinator/aggregation-rules';
import {
  aggregationRules,
  boostOfMean,
  boostOfRule,
  coordinateCapOf,
  createSeededRandom,
  leastUpdates,
  maxQuantizationBits,
  type BoostCase,
  type LargestBoost,
  type SeededRandom,
} from '@weft/shared';
import { attacks } from './attacks.ts';
import { distance, honestUpdates, type MeasuredBoost, type Scene } from './scene.ts';
import { moveUnderMasks } from './under-masks.ts';

type Rule = (typeof aggregationRules)[number];

const robust = { byzantine: 1, trimShare: 0.2, radius: 1, iterations: 100 };

/** The farthest that any attack moves the aggregate from where the node's honest update would leave it. */
export function largestMove(
  rule: Rule,
  honest: readonly Float64Array[],
  hostileNorm: number,
  random: SeededRandom,
): { measured: number; attack: string } {
  const settings = { rule, robust };
  const [own, ...others] = honest as [Float64Array, ...Float64Array[]];
  const without = aggregateByRule(settings, [own, ...others]);
  const move = (hostile: Float64Array): number => distance(aggregateByRule(settings, [hostile, ...others]), without);
  /** What the coordinator would take. */
  const allowed = (hostile: Float64Array, factor = 1): Float64Array => {
    const most = hostileNorm / (distance(hostile, new Float64Array(hostile.length)) || 1);
    return hostile.map((value) => value * Math.min(factor, most));
  };
  let best = { measured: 0, attack: 'none', hostile: own };
  for (const attack of attacks) {
    for (const given of attack.tries(others, hostileNorm, random)) {
      const hostile = allowed(given);
      const measured = move(hostile);
      if (measured > best.measured) best = { measured, attack: attack.name, hostile };
    }
  }
  // The best of them, made longer or shorter for as long as that helps: how far is just not too far for the rule?
  for (const factor of [2, 0.5, 1.25, 0.8, 1.05, 0.95]) {
    for (let steps = 0; steps < 20; steps++) {
      const hostile = allowed(best.hostile, factor);
      const measured = move(hostile);
      if (measured <= best.measured) break;
      best = { ...best, measured, hostile };
    }
  }
  return best;
}

/** In clip norms: what the coordinator takes is clipped, and rounded by less than one unit of 16 bits in each coordinate. */
export const hostileNormOf = ({ values }: Scene): number =>
  1 + Math.sqrt(values) / coordinateCapOf(maxQuantizationBits);

export const boundOf = (rule: Rule, scene: Scene): LargestBoost => {
  const given: BoostCase = { ...robust, nodes: scene.nodes, hostileNorm: hostileNormOf(scene) };
  return rule === 'mean' ? boostOfMean(given) : boostOfRule(rule, given);
};

export function measureBoosts({ quick }: { quick: boolean }): MeasuredBoost[] {
  const random = createSeededRandom('boost');
  const values = quick ? 500 : 2000;
  const measured: MeasuredBoost[] = [];
  for (const nodes of quick ? [7] : [7, 15, 30]) {
    measured.push(moveUnderMasks({ nodes, values, common: 1 }, 'mean', random));
    for (const rule of aggregationRules) {
      if (nodes < leastUpdates(rule, robust.byzantine)) continue;
      const scenes = [0, 0.5, 0.9].map((common): Scene => ({ nodes, values, common }));
      const moves = scenes.map((scene) =>
        largestMove(rule, honestUpdates(scene, random), hostileNormOf(scene), random),
      );
      const [first, ...rest] = moves as [(typeof moves)[number], ...typeof moves];
      const best = rest.reduce((most, move) => (move.measured > most.measured ? move : most), first);
      measured.push({
        rule: rule === 'mean' ? 'mean, plain' : rule,
        nodes,
        measured: best.measured,
        attack: best.attack,
        bound: boundOf(rule, scenes[0]!).clipNorms,
      });
    }
  }
  for (const shardRule of ['mean', 'trimmed-mean'] as const)
    measured.push(moveUnderMasks({ nodes: quick ? 513 : 1000, values, common: 0.5 }, shardRule, random));
  return measured;
}

export const boostRows = (measured: readonly MeasuredBoost[]): string[][] => [
  ['rule', 'nodes', 'measured', 'bound', 'by'],
  ...measured.map(({ rule, nodes, measured: moved, bound, attack }) => [
    rule,
    String(nodes),
    moved.toFixed(3),
    bound === null ? 'no bound' : bound.toFixed(3),
    attack,
  ]),
];
