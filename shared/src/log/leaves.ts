import { isWeftError, WeftError } from '../errors/weft-error.ts';
import { leafHash, merkleRoot } from '../merkle-tree.ts';
import { decode, encode, fixed, sized, struct, u16, u32, u64, u8, type ValueOf } from '../secagg/byte-layout.ts';
import { digest } from '../secagg/keys.ts';

/**
 * Every kind of leaf. What is public holds roots and hashes only. A node stands in it as a hash of its public key, another
 * one in each run: keys are known to the coordinator and to the members of a cohort, so they can look each other up
 * and nobody else can tell that two runs had the same member.
 */
export const leafVersion = 1;
const maxCodeBytes = 64;

const hash = fixed(32);
/** `at`: milliseconds since 1970 on the coordinator's clock; nothing rests on it. */
const header = { version: u16, type: u8, at: u64 };
const ofRound = { ...header, runId: fixed(16), round: u32 };

export const leaves = {
  /** A node may take part from here on, by the word of an organisation (its Ed25519 key) or of nobody (zeros). */
  enrol: { type: 1, layout: struct({ ...header, node: hash, organisation: hash }) },
  /** It may not any more. */
  revoke: { type: 2, layout: struct({ ...header, node: hash }) },
  /**
   * A round begins. Mode 0 is plain, 1 secure; factor 1 is A, 2 is B, 3 both. The hash of the evaluation gate's file and
   * the bits of the greatest increase that it allows; zeros: no gate.
   */
  offer: {
    type: 3,
    layout: struct({
      ...ofRound,
      specHash: hash,
      baseHash: hash,
      layoutHash: hash,
      adapterHash: hash,
      factor: u8,
      mode: u8,
      gateData: hash,
      gateIncrease: u64,
    }),
  },
  /** Its cohort is fixed: RFC 6962 over pseudonyms in ascending order; secure mode: over the adverts' bodies too. */
  roster: { type: 4, layout: struct({ ...ofRound, members: u32, memberRoot: hash, advertRoot: hash }) },
  /** Secure mode: who is summed and who is not was fixed before anything was opened. */
  cut: { type: 5, layout: struct({ ...ofRound, cutHash: hash, inputRoot: hash, surviving: u32, dropped: u32 }) },
  /** Secure mode: enough members opened this cut. */
  open: { type: 6, layout: struct({ ...ofRound, cutHash: hash, acknowledgements: u32 }) },
  /**
   * The sum was applied. `updateRoot`: RFC 6962 over SHA-256 of each signed Update that is in it, ascending. Gate 0: the
   * spec has none, the adapter is finite; 1: the leaf before this one says that it passed. `nextClipNorm`: where the run
   * adapts it, the bits of the norm that updates are clipped to from here on; zeros elsewhere.
   */
  result: {
    type: 7,
    layout: struct({
      ...ofRound,
      previousAdapter: hash,
      adapterHash: hash,
      updates: u32,
      updateRoot: hash,
      weightSum: u64,
      gate: u8,
      nextClipNorm: u64,
    }),
  },
  /** It brought nothing; the adapter stays. */
  abort: { type: 8, layout: struct({ ...ofRound, code: sized(maxCodeBytes) }) },
  /**
   * What the evaluation gate said of the round's adapter: sums of losses as the bits of float64 (NaN where it is not
   * finite), of the adapter before and of this one, over the same tokens. Passed 1: it may follow.
   */
  gate: {
    type: 9,
    layout: struct({ ...ofRound, adapterHash: hash, lossSumBefore: u64, lossSumAfter: u64, tokens: u64, passed: u8 }),
  },
  /**
   * The run goes on from, or ends in, an earlier result of it or its first adapter. `round`: the last one that began. The
   * clip norm stays what the last result named.
   */
  rollback: {
    type: 10,
    layout: struct({ ...ofRound, previousAdapter: hash, adapterHash: hash, nextClipNorm: u64 }),
  },
} as const;

export type LeafName = keyof typeof leaves;
type LeafBody<N extends LeafName> = ValueOf<(typeof leaves)[N]['layout']>;
export type LeafInit<N extends LeafName> = Omit<LeafBody<N>, 'version' | 'type'>;
export type Leaf = { [N in LeafName]: { readonly name: N } & LeafBody<N> }[LeafName];

export function encodeLeaf<N extends LeafName>(name: N, value: LeafInit<N>): Uint8Array {
  const { layout, type } = leaves[name];
  return encode<unknown>(layout, { version: leafVersion, type, ...value });
}

/** A float64 as the integer of its bits, the same for every NaN. */
export function floatBits(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

export function floatOfBits(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

const names = Object.keys(leaves) as LeafName[];

/** @throws WEFT_LOG_MALFORMED for other bytes than the one encoding of a leaf */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  // Version and type stand in front, whichever leaf it is.
  const name = names.find((candidate) => leaves[candidate].type === bytes[2]);
  if (name === undefined || bytes[0] !== 0 || bytes[1] !== leafVersion)
    throw new WeftError(
      'WEFT_LOG_MALFORMED',
      `a leaf of ${bytes.length} bytes has a version or type that is not known`,
    );
  try {
    const body = decode<unknown>(leaves[name].layout, bytes) as LeafBody<LeafName>;
    return { name, ...body } as Leaf;
  } catch (cause) {
    if (!isWeftError(cause)) throw cause;
    throw new WeftError('WEFT_LOG_MALFORMED', `a leaf ${name} does not parse: ${cause.message}`, {}, { cause });
  }
}

/** SHA-256("weft/1/log/node\0" ‖ public key): a node in Enrol and Revoke. */
export const enrolledName = (publicKey: Uint8Array): Uint8Array => digest('weft/1/log/node', publicKey);

/** SHA-256("weft/1/log/pseudonym\0" ‖ run id ‖ public key): a node in the leaves of one run. */
export const pseudonymOf = (runId: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  digest('weft/1/log/pseudonym', runId, publicKey);

/** RFC 6962 over hashes in ascending order, so that their order tells nothing. */
export const sortedRoot = (hashes: readonly Uint8Array[]): Uint8Array =>
  merkleRoot(hashes.toSorted((a, b) => Buffer.compare(a, b)).map(leafHash));
