import type { RunSpec } from '@weft/shared';

export type ServerSettings = RunSpec['aggregation']['server'];

export interface ServerStep {
  /** θ' as float32. */
  readonly next: Float32Array;
  /** fedavgm: m after this round. */
  readonly momentum?: Float64Array;
  /** L2 norm of θ' − θ before it is rounded to float32. */
  readonly stepNormL2: number;
}

/**
 * One step of the server optimizer, in float64 with +, × and √ alone, coordinate by coordinate in layout order, each
 * expression in the order in which it is written here: every machine gets the same bits.
 *
 * - fedavg: θ' = θ + η·Δ̄ (McMahan et al. 2017, Algorithm 1, with a server rate)
 * - fedavgm: m' = β·m + Δ̄, θ' = θ + η·m', m = 0 at first (Hsu et al. 2019, section 4.3, with Δ̄ = −g)
 * @param meanDelta Δ̄, the weighted mean of local training's adapter after − before
 */
export function serverStep(
  previous: Float32Array,
  meanDelta: Float64Array,
  { optimizer, learningRate, momentum: beta }: ServerSettings,
  momentum?: Float64Array,
): ServerStep {
  const next = new Float32Array(previous.length);
  const velocity = optimizer === 'fedavgm' ? new Float64Array(previous.length) : undefined;
  let squares = 0;
  for (let i = 0; i < previous.length; i++) {
    let direction = meanDelta[i]!;
    if (velocity !== undefined) {
      direction = beta * (momentum?.[i] ?? 0) + direction;
      velocity[i] = direction;
    }
    const step = learningRate * direction;
    squares += step * step;
    next[i] = Math.fround(previous[i]! + step);
  }
  return { next, ...(velocity && { momentum: velocity }), stepNormL2: Math.sqrt(squares) };
}
