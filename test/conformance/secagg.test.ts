import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findPython, skips } from './python.ts';
import { transcriptOf } from './secagg-transcript.ts';

const python = findPython(['cryptography']);
const script = fileURLToPath(new URL('secagg_session.py', import.meta.url));

function playedByPython(scenario: unknown): Record<string, unknown> {
  const { stdout, stderr, status } = spawnSync(python!, [script], {
    input: JSON.stringify([scenario]),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as Record<string, unknown>[])[0]!;
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
