import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

it('sorts keys at every depth and drops undefined', () => {
  expect(canonicalJson({ b: [1, { d: 1, c: 'é' }], a: undefined, A: null })).toBe('{"A":null,"b":[1,{"c":"é","d":1}]}');
});

it('means the same value as JSON.parse reads it, and is its own canonical form', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(JSON.parse(text))).toBe(text);
    }),
  );
});

it('refuses numbers that JSON cannot hold', () => {
  expect(() => canonicalJson([Number.NaN])).toThrow(TypeError);
});
