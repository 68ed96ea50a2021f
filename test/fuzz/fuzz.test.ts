import process from 'node:process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzz, shareOut } from './run-fuzz.ts';
import { demand, fuzzTarget, takes } from './target.ts';
import { targets } from './targets.ts';

/** A few seconds; `pnpm test:fuzz` is the nightly form. */
const inputs = Number(process.env['WEFT_FUZZ_INPUTS'] ?? 40_000);

describe('bytes from elsewhere', () => {
  for (const [target, share] of shareOut(targets, inputs)) {
    it(`are taken whole or refused by name: ${target.name}`, { timeout: 60_000 + share }, () => {
      const { taken } = fuzz(target, { inputs: share, seed: 20_240_601 });
      expect(taken).toBeLessThan(share);
    });
  }

  it('that break a parser are found, by name and seed', () => {
    const careless = fuzzTarget('careless', 1, fc.uint8Array({ maxLength: 8 }), (bytes) =>
      takes(() => demand(bytes[0] !== 7, 'it took a seven'), []),
    );
    expect(() => fuzz(careless, { inputs: 20_000, seed: 1 })).toThrow(/careless: [^]*it took a seven/);
  });
});
