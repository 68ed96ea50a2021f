import fc from 'fast-check';

/** One byte changed, some cut off or added, a stretch repeated, moved or zeroed, or a piece of another example put in. */
const fault = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('flip', 'set', 'truncate', 'extend', 'repeat', 'zero', 'length', 'splice'),
  value: fc.integer({ min: 0, max: 255 }),
});
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never;

const joined = (pieces: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(pieces));

function damaged(bytes: Uint8Array, { at, how, value }: Fault, other: Uint8Array): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(value);
  const place = at % bytes.length;
  switch (how) {
    case 'flip':
      return bytes.with(place, bytes[place]! ^ (1 << (value & 7)));
    case 'set':
      return bytes.with(place, value);
    case 'truncate':
      return bytes.slice(0, place);
    case 'extend':
      return joined([bytes, new Uint8Array(1 + (value & 31)).fill(value)]);
    case 'repeat':
      return joined([bytes.subarray(0, place), bytes.subarray(Math.max(0, place - value))]);
    case 'zero':
      return Uint8Array.from(bytes).fill(0, place, place + value);
    case 'length':
      // where four bytes are a length, it is now enormous
      return Uint8Array.from(bytes).fill(0xff, place, place + 1 + (value & 7));
    case 'splice':
      return joined([bytes.subarray(0, place), other.subarray(at % (other.length + 1))]);
  }
}

export const faults = fc.array(fault, { minLength: 1, maxLength: 3 });
export const inflict = (bytes: Uint8Array, harm: readonly Fault[], other = bytes): Uint8Array =>
  harm.reduce((whole, one) => damaged(whole, one, other), bytes);

/** Mostly an example with faults, at times nothing but chance. */
export const bytesLike = (examples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.constantFrom(...examples), fc.constantFrom(...examples), faults)
        .map(([bytes, other, harm]) => inflict(bytes, harm, other)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  );
