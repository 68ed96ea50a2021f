import { expect, test } from 'vitest';
import { thresholdOf, withstands } from './secure-round.ts';

const sizes = { members: 5, colluders: 1, dropouts: 1, cutThreshold: 4 };

test('a round says how many colluders it withstands, and how many members must agree', () => {
  const small = { secure: { ...sizes, shards: [{ members: 5, colluders: 1, threshold: 4 }] } };
  expect([withstands(small), thresholdOf(small)]).toEqual(['1 colluder', '4 of 5']);
  expect(withstands({ secure: { ...small.secure, colluders: 0 } })).toBe('none');
  expect(withstands({ secure: null })).toBe('–');

  const shard = { members: 67, colluders: 13, threshold: 35 };
  const secure = {
    members: 133,
    colluders: 13,
    dropouts: 39,
    cutThreshold: 74,
    shards: [shard, { members: 66, colluders: 13, threshold: 34 }],
  };
  expect(thresholdOf({ secure })).toBe('74 of 133; in a shard 35 of 67 or 34 of 66');
});
