import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createSeededRandom, secagg } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { findPython, skips } from './python.ts';
import { transcriptOf } from './secagg-transcript.ts';

const python = findPython(['cryptography']);
const script = fileURLToPath(new URL('secagg_session.py', import.meta.url));

function playedByPython<T = Record<string, unknown>>(scenario: unknown): T {
  const { stdout, stderr, status } = spawnSync(python!, [script], {
    input: JSON.stringify([scenario]),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as T[])[0]!;
}

describe.skipIf(skips('conformance', { python }))('a session, said again by Python from docs/secagg-wire.md', () => {
  it.each([
    {
      name: 'five members, one of whom drops after dealing its shares',
      members: 5,
      bits: 32,
      drops: [[2, 'maskedInput']],
    },
    { name: 'three members', members: 3, bits: 16, drops: [] },
    {
      name: 'ten members in a ring of eleven bits, one gone at each of three steps',
      members: 10,
      bits: 11,
      drops: [
        [0, 'shares'],
        [4, 'maskedInput'],
        [9, 'opening'],
      ],
    },
  ] as const)('has the same bytes: $name', ({ members, bits, drops }) => {
    const { scenario, told, exactSum } = transcriptOf({ members, bits, words: 37, drops: new Map(drops) });
    const again = playedByPython(scenario);
    expect(Object.keys(again).toSorted()).toEqual(Object.keys(told).toSorted());
    expect(again).toEqual(told);
    expect(again['sum']).toEqual(exactSum);
  });

  it('takes the same keys into a roster', () => {
    const encoded = (number: bigint): Uint8Array =>
      new Uint8Array(Buffer.from(number.toString(16).padStart(64, '0'), 'hex')).toReversed();
    const random = createSeededRandom('keys');
    const drawn = Array.from({ length: 64 }, () => Uint8Array.from({ length: 32 }, () => random.integer(256)));
    const edges = [0n, 2n ** 255n - 19n, 2n ** 255n, 2n ** 256n - 1n].flatMap((number) =>
      [-20n, -3n, -2n, -1n, 0n, 1n, 2n].map((more) => number + more).filter((n) => n >= 0n && n < 2n ** 256n),
    );
    const eighth = [
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    ].map((key) => new Uint8Array(Buffer.from(key, 'hex')));
    const keys = [...drawn, ...edges.map(encoded), ...eighth];
    const usable = playedByPython<boolean[]>({ keys: keys.map((key) => Buffer.from(key).toString('hex')) });
    expect(usable).toEqual(keys.map(secagg.isUsableKey));
    expect(new Set(usable.slice(0, drawn.length)).size).toBe(2);
  });

  it('has the same bytes: 130 members in two shards that two beacons draw', () => {
    const { scenario, told, exactSum } = transcriptOf({
      members: 130,
      bits: 17,
      words: 3,
      offer: { droppingShare: 1000 },
      drops: new Map([
        [7, 'maskedInput'],
        [50, 'shares'],
        [129, 'cutAck'],
      ]),
    });
    const again = playedByPython(scenario);
    expect(Object.keys(again).toSorted()).toEqual(Object.keys(told).toSorted());
    for (const [key, value] of Object.entries(told)) expect(again[key], key).toEqual(value);
    expect(again['sum']).toEqual(exactSum);
  });
});
