import { createSeededRandom, secagg } from '@weft/shared';
import { type DropStep, hex, SessionInProcess } from '../secagg-session.ts';

/** What a session of the product's machines put on the wire, and the secrets from which it follows. */

export interface Transcript {
  /** For another implementation, as JSON. */
  readonly scenario: unknown;
  /** `name/place` or `name/all`: body and signature in hex; `vector/place`, `cutProof/place`, `sum`. */
  readonly told: Readonly<Record<string, unknown>>;
  /** The updates of the members that were summed, added up. */
  readonly exactSum: readonly number[];
}

/** Bytes as hex, and whole numbers that may pass 2⁵³ as text. */
function forJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(forJson);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, forJson(inner)]));
}

export function transcriptOf({
  members,
  bits,
  words,
  drops = new Map(),
  offer = {},
}: {
  members: number;
  bits: number;
  words: number;
  drops?: ReadonlyMap<number, DropStep>;
  offer?: Partial<secagg.BodyInit<'offer'>>;
}): Transcript {
  const random = createSeededRandom(`updates ${members} ${bits}`);
  const updates = Array.from({ length: members }, () =>
    secagg.ringWords(bits, words).map(() => random.integer(2 ** bits)),
  );
  const told: Record<string, unknown> = {};
  const masked = new Map<number, secagg.RingWords>();
  const sum = secagg.ringWords(bits, words);
  const add = (into: secagg.RingWords, other: secagg.RingWords): void =>
    into.forEach((word, i) => (into[i] = word + other[i]!));
  const session = new SessionInProcess({
    members,
    bits,
    words,
    seed: `transcript ${members} ${bits}`,
    offer,
    drops,
    mask: (place, { terms }) => {
      const vector = secagg.ringWords(bits, words);
      vector.set(updates[place]!);
      secagg.addMasks(vector, terms);
      secagg.reduceWords(vector, bits);
      masked.set(place, vector);
      const packed = secagg.packWords(vector, bits);
      const root = new secagg.ChunkRoot();
      root.add(packed);
      return { chunkRoot: root.root(), lengthBytes: packed.length };
    },
    unmask: (shards) => {
      for (const { summed, terms } of shards) {
        for (const place of summed) add(sum, masked.get(place)!);
        secagg.addMasks(sum, terms);
      }
      secagg.reduceWords(sum, bits);
    },
    passed: ({ from, to, name, signed, proof }) => {
      // a cut and an unmask are the same bytes for each survivor
      const receiver = name === 'cut' || name === 'unmask' ? 'all' : to;
      const key = `${name}/${from === 'coordinator' ? receiver : from}`;
      told[key] = { body: hex(signed.body), signature: hex(signed.signature) };
      if (proof) told[`cutProof/${to}`] = hex(proof);
      if (name === 'maskedInput' && typeof from === 'number')
        told[`vector/${from}`] = hex(secagg.packWords(masked.get(from)!, bits));
    },
  }).run();
  if (session.outcome?.kind !== 'finished') throw new Error(`the session ended: ${session.outcome?.reason}`);
  const exactSum = secagg.ringWords(bits, words);
  for (const place of session.outcome.summed) add(exactSum, updates[place]!);
  secagg.reduceWords(exactSum, bits);
  const scenario = {
    coordinatorSeed: session.coordinatorSeed,
    loggedByMs: '1700000000000',
    offer: session.offer,
    members: session.members.map(({ identitySeed, secret, beaconRandom }, place) => ({
      identitySeed,
      secret,
      beaconRandom,
      update: [...updates[place]!],
      drop: drops.get(place),
    })),
  };
  return {
    scenario: forJson(scenario),
    told: { ...told, sum: [...sum] },
    exactSum: [...exactSum],
  };
}
