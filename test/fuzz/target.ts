import fc from 'fast-check';
import { type ErrorCode, isWeftError } from '@weft/shared';

/** One parser, or one machine, and what may come to it. */
export interface FuzzTarget {
  readonly name: string;
  /** Of all inputs; slow ones get less. */
  readonly part: number;
  /**
   * @returns how many of the inputs were taken
   * @throws with fast-check's smallest input, the seed and the name where one breaks something
   */
  readonly run: (options: { readonly seed: number; readonly inputs: number }) => number;
}

/** @param feed says whether the input was taken, and throws where that, or how it was refused, must not be */
export const fuzzTarget = <T>(
  name: string,
  part: number,
  arbitrary: fc.Arbitrary<T>,
  feed: (input: T) => boolean,
): FuzzTarget => ({
  name,
  part,
  run({ seed, inputs }) {
    let taken = 0;
    const property = fc.property(arbitrary, (input) => {
      if (feed(input)) taken++;
    });
    const result = fc.check(property, { seed, numRuns: inputs });
    if (result.failed) {
      const { errorInstance: cause } = result;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${name}: ${fc.defaultReportMessage(result) ?? 'it broke'}\nCause: ${why}`, { cause });
    }
    return taken;
  },
});

export class Broken extends Error {}

export const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new Broken(what);
};

/** @returns true where `parse` takes the input, false where it refuses it with one of `codes`; anything else is thrown on */
export function takes(parse: () => void, codes: readonly ErrorCode[]): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (!(error instanceof Broken) && codes.some((code) => isWeftError(error, code))) return false;
    throw error;
  }
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
