import type { FuzzTarget } from './target.ts';

export interface FuzzFigures {
  readonly name: string;
  readonly inputs: number;
  readonly taken: number;
  readonly seconds: number;
}

// An input that breaks something is found again from its slice's seed, without the million before it.
const sliceInputs = 20_000;

export function fuzz(
  target: FuzzTarget,
  { inputs, seed }: { readonly inputs: number; readonly seed: number },
): FuzzFigures {
  const began = performance.now();
  let taken = 0;
  for (let done = 0; done < inputs; done += sliceInputs)
    taken += target.run({ seed: seed + done, inputs: Math.min(sliceInputs, inputs - done) });
  return { name: target.name, inputs, taken, seconds: (performance.now() - began) / 1000 };
}

/** Inputs of each target, in proportion to its part. */
export function shareOut(targets: readonly FuzzTarget[], inputs: number): Map<FuzzTarget, number> {
  const parts = targets.reduce((sum, { part }) => sum + part, 0);
  return new Map(targets.map((target) => [target, Math.max(1, Math.ceil((inputs * target.part) / parts))]));
}
