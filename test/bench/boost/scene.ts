import type { SeededRandom } from '@weft/shared';

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

export function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k]! - b[k]!) ** 2;
  return Math.sqrt(sum);
}
