import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from '../errors/weft-error.ts';
import { sha256 } from '../hash.ts';
import type { RunId } from '../ids.ts';
import {
  bodiesOf,
  bodyPath,
  expiredRounds,
  formatManifest,
  isBodyPath,
  manifestPath,
  parseManifest,
  windowEnd,
  type RoundManifest,
} from './round-bodies.ts';

const runId = `r_${'0a'.repeat(16)}` as RunId;
const manifest = (round: number, until: number): RoundManifest => ({
  version: 1,
  runId,
  round,
  until,
  offer: sha256(`offer ${round}`),
  invited: ['1'.repeat(64)],
  messages: [{ kind: 'keyAdvert', body: sha256(`advert ${round}`), signature: '2'.repeat(128) }, { kind: 'deadline' }],
  inputs: [
    {
      publicKey: '1'.repeat(64),
      update: sha256(`update ${round}`),
      signature: '3'.repeat(128),
      vector: sha256(`vector ${round}`),
    },
  ],
  previousAdapter: sha256('the same in both'),
});

describe('the manifest of a round', () => {
  it('reads back what was written, and lies where nothing else does', () => {
    const one = manifest(3, 5);
    expect(parseManifest(Buffer.from(formatManifest(one)))).toEqual(one);
    expect(isBodyPath(manifestPath(runId, 3))).toBe(true);
    expect(isBodyPath(bodyPath(sha256('')))).toBe(true);
    for (const path of [
      'bodies/..',
      `bodies/${sha256('')}.part`,
      'rounds/r_/1.json',
      `rounds/${runId}/01.json`,
      'weft.db',
    ])
      expect(isBodyPath(path)).toBe(false);
  });

  it('goes when its window is over, with the bodies that no other round needs', () => {
    const [old, young] = [manifest(0, 1000), manifest(1, 2000)];
    expect(expiredRounds([old, young], 999)).toEqual({ rounds: [], bodies: [] });
    const { rounds, bodies } = expiredRounds([old, young], 1000);
    expect(rounds).toEqual([old]);
    expect([...bodies].sort()).toEqual(
      bodiesOf(old)
        .filter((body) => body !== old.previousAdapter)
        .sort(),
    );
    expect(expiredRounds([old, young], 2000).bodies).toContain(old.previousAdapter);
    expect(windowEnd(1, 30)).toBe(1 + 30 * 24 * 3600 * 1000);
  });

  it('answers any bytes with a manifest or a catalogued error', () => {
    const good = formatManifest(manifest(0, 1));
    const mutated = fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(9)).map(([at, value, cut]) => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return bytes.subarray(0, bytes.length - cut);
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
          mutated,
        ),
        (bytes) => {
          try {
            expect(parseManifest(Buffer.from(formatManifest(parseManifest(bytes))))).toEqual(parseManifest(bytes));
          } catch (error) {
            expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
