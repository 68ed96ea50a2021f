import fc from 'fast-check';

/** One change to a file, at a place given as a share of its length. */
type Damage = (bytes: Buffer) => Buffer;

const at = (bytes: Buffer, share: number, room = 1): number => Math.floor(share * Math.max(0, bytes.length - room));
// not fc.double, whose values crowd around zero
const share = fc.nat(2 ** 30 - 1).map((value) => value / 2 ** 30);

const setByte = fc.tuple(share, fc.nat(255)).map(([place, value]): Damage => (bytes) => {
  if (bytes.length > 0) bytes[at(bytes, place)] = value;
  return bytes;
});
/** Lengths, counts and offsets are 64-bit numbers: the interesting ones are small, huge, or just around a limit. */
const setLength = fc
  .tuple(
    share,
    fc.oneof(fc.bigInt(0n, 200n), fc.constantFrom(2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n)),
  )
  .map(([place, value]): Damage => (bytes) => {
    if (bytes.length >= 8) bytes.writeBigUInt64LE(value, at(bytes, place, 8));
    return bytes;
  });
const cut = share.map(
  (place): Damage =>
    (bytes) =>
      bytes.subarray(0, at(bytes, place)),
);
const insert = fc.tuple(share, fc.uint8Array({ minLength: 1, maxLength: 16 })).map(
  ([place, added]): Damage =>
    (bytes) =>
      Buffer.concat([bytes.subarray(0, at(bytes, place)), added, bytes.subarray(at(bytes, place))]),
);
const remove = fc.tuple(share, fc.integer({ min: 1, max: 64 })).map(
  ([place, count]): Damage =>
    (bytes) =>
      Buffer.concat([bytes.subarray(0, at(bytes, place)), bytes.subarray(at(bytes, place) + count)]),
);
const repeat = fc.tuple(share, fc.integer({ min: 1, max: 64 })).map(
  ([place, count]): Damage =>
    (bytes) =>
      Buffer.concat([bytes.subarray(0, at(bytes, place) + count), bytes.subarray(at(bytes, place))]),
);

/** `whole` after one to six changes. With `front`, only its first bytes are changed: a header before much data. */
export function damaged(whole: Uint8Array, front = whole.length): fc.Arbitrary<Buffer> {
  const changes = fc.array(fc.oneof(setByte, setByte, setLength, cut, insert, remove, repeat), {
    minLength: 1,
    maxLength: 6,
  });
  return changes.map((list) => {
    const head = list.reduce<Buffer>((bytes, change) => change(bytes), Buffer.from(whole.subarray(0, front)));
    return Buffer.concat([head, whole.subarray(front)]);
  });
}
