import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withEntry } from './persistent-map.ts';

test('every version stays what it was, whichever is asked when', () => {
  const change = fc.record({ from: fc.nat(), key: fc.nat({ max: 6 }), value: fc.integer() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.array(fc.nat(), { maxLength: 40 }), (changes, asked) => {
      const start = new Map([[3, 1]]);
      const versions: ReadonlyMap<number, number>[] = [start];
      const copies: Map<number, number>[] = [new Map(start)];
      for (const { from, key, value } of changes) {
        const place = from % versions.length;
        versions.push(withEntry(versions[place]!, key, value));
        copies.push(new Map(copies[place]).set(key, value));
      }
      for (const place of [...asked.map((ask) => ask % versions.length), ...versions.keys()]) {
        const [version, copy] = [versions[place]!, copies[place]!];
        expect([...version]).toEqual([...copy]);
        expect(version.size).toBe(copy.size);
        for (let key = 0; key <= 7; key++) {
          expect(version.get(key)).toBe(copy.get(key));
          expect(version.has(key)).toBe(copy.has(key));
        }
      }
    }),
  );
});

test('a walk goes on where another version is asked meanwhile', () => {
  const one = withEntry(withEntry(new Map<string, number>(), 'a', 1), 'b', 2);
  const other = withEntry(withEntry(one, 'a', 3), 'c', 4);
  const walked: string[] = [];
  for (const [key, value] of one) walked.push(`${key}${value}${other.get(key)}`);
  one.forEach((value, key) =>
    walked.push(`${key}${value}${[...other.keys()].join('')}${[...other.values()].join('')}`),
  );
  expect(walked).toEqual(['a13', 'b22', 'a1abc324', 'b2abc324']);
});
