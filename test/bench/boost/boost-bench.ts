import { aggregateByRule } from '@weft/coordinator/aggregation-rules';
import {
  addToRing,
  aggregationRules,
  boostOfMean,
  boostOfRule,
  coordinateCapOf,
  createSeededRandom,
  decodeSum,
  largestBoost,
  leastUpdates,
  maxQuantizationBits,
  parseRunSpec,
  quantizeUpdate,
  secagg,
  toRing,
  updateEncoding,
  type BoostCase,
  type LargestBoost,
  type SeededRandom,
} from '@weft/shared';
import { attacks } from './attacks.ts';

/** `pnpm bench boost`: how far one node moved the aggregate with the best attack that was found, beside the bound. */
export interface MeasuredBoost {
  readonly rule: string;
  readonly nodes: number;
  /** In clip norms. */
  readonly measured: number;
  readonly attack: string;
  readonly bound: number | null;
}

export interface Scene {
  readonly nodes: number;
  readonly values: number;
  /** Of the honest updates: share of their squared norm that all have in common. */
  readonly common: number;
}

type Rule = (typeof aggregationRules)[number];

const robust = { byzantine: 1, trimShare: 0.2, radius: 1, iterations: 100 };

/** Honest updates of norm 1, clipped: a direction that all share, and what each has of its own. [nodes][values] */
export function honestUpdates({ nodes, values, common }: Scene, random: SeededRandom): Float64Array[] {
  const gaussian = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const draw = (): Float64Array => Float64Array.from({ length: values }, () => gaussian() / Math.sqrt(values));
  const shared = draw();
  return Array.from({ length: nodes }, () => {
    const own = draw();
    const update = shared.map((value, k) => Math.sqrt(common) * value + Math.sqrt(1 - common) * own[k]!);
    const norm = distance(update, new Float64Array(values));
    return update.map((value) => value / Math.max(1, norm));
  });
}

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
    measured.push(moveSecureMean({ nodes, values, common: 0.5 }, random));
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
  return measured;
}

/** Under masks one member may send any words: here those that make each sum the ring's largest, and their weight 1. */
export function moveSecureMean(scene: Scene, random: SeededRandom): MeasuredBoost {
  const { nodes, values } = scene;
  const spec = parseRunSpec({
    name: 'boost',
    baseModel: { name: 'none', sha256: '0'.repeat(64) },
    training: { steps: 1 },
    cohort: { minimum: nodes, maximum: nodes },
    aggregation: { mode: 'secure', weighting: 'uniform', clipNormL2: 1 },
    rounds: 1,
  });
  const encoding = updateEncoding(spec, values);
  const { form, grid } = encoding;
  const settings = { clipNormL2: 1, weight: 1, weightCap: 1, rotationSeed: 'boost', random };
  const sum = secagg.ringWords(form.bits, form.dim + form.limbs);
  for (const update of honestUpdates(scene, random))
    addToRing(sum, toRing(form, quantizeUpdate(Float32Array.from(update), grid, settings)!.coordinates, 1));
  secagg.reduceWords(sum, form.bits);
  const decode = (words: typeof sum): Float64Array =>
    decodeSum(encoding, words, { rotationSeed: settings.rotationSeed, nodes }).meanDelta;
  const forged = toRing(form, new Int32Array(form.dim).fill(2 ** (form.bits - 1) - 1), 1);
  return {
    rule: 'mean, secure',
    nodes,
    measured: distance(decode(forged), decode(sum)),
    attack: 'wrap around',
    bound: largestBoost(spec, values).clipNorms,
  };
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

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k]! - b[k]!) ** 2;
  return Math.sqrt(sum);
}
