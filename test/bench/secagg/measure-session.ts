import { createHash } from 'node:crypto';
import process from 'node:process';
import { addToRing, secagg } from '@weft/shared';
import { type DropStep, hex, SessionInProcess } from '../../secagg-session.ts';

/** One session, all of its messages and keys; the vectors of a few members only, whose time stands for the others'. */

export interface SessionCase {
  readonly members: number;
  /** Who drops after the shares are dealt, before the vector is sent: what costs the server most. */
  readonly dropped: number;
  /** The messages of one session are the same in each ring: only its vectors are masked once for each. */
  readonly rings: readonly Ring[];
  readonly words: number;
}

export interface Ring {
  /** q: bits of one quantised coordinate. */
  readonly quantizedBits: number;
  /** b: bits of the ring, enough for the sum of n such coordinates. */
  readonly bits: number;
}

export interface SessionFigures extends Omit<SessionCase, 'rings'>, Ring {
  readonly threshold: number;
  readonly shards: number;
  readonly vectorBytes: number;
  /** Mean over the measured members; the vector is not in it. */
  readonly upBytes: number;
  /** Without the model that is offered. */
  readonly downBytes: number;
  readonly nodeCpuS: number;
  /** How many of the members were measured; the others send what they must, and their vectors are not masked. */
  readonly measuredMembers: number;
  /** From the first opening to the sum without masks. */
  readonly unmaskCpuS: number;
  /** Shards whose masks were taken off in this run; the time is scaled to all of them. */
  readonly unmaskedShards: number;
  /** The vectors of all survivors added up, as in mode plain: 32-bit words. */
  readonly plainSumCpuS: number;
}

const plainVectors = 4;

const cpuS = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Members that another member checked already need not check each other again, or a thousand would take an hour. */
const trusting = (): typeof secagg.nodeChecks => ({
  ...secagg.nodeChecks,
  roster: { ...secagg.nodeChecks.roster, advertsSigned: () => true },
  unmask: { ...secagg.nodeChecks.unmask, signaturesHold: () => true },
});

/** @returns one row of figures for each ring */
export function measureSession(work: SessionCase): SessionFigures[] {
  const { members, dropped, rings, words } = work;
  // spread over the roster, so that signs of both kinds are left over
  const drops = new Map<number, DropStep>(
    Array.from({ length: dropped }, (_, k) => [Math.floor((k * members) / dropped), 'maskedInput']),
  );
  const survivors = Array.from({ length: members }, (_, place) => place).filter((place) => !drops.has(place));
  const measured = new Map(
    [survivors[0]!, survivors[survivors.length >> 1]!, survivors.at(-1)!].map((place) => [
      place,
      { cpu: 0, up: 0, down: 0 },
    ]),
  );
  const vectorBytes = ({ bits }: Ring): number => secagg.packedBytes(words, bits);
  const left = new Map<string, number>();
  const count = (terms: readonly secagg.MaskTerm[]): void => {
    for (const { seed, sign } of terms) left.set(hex(seed), (left.get(hex(seed)) ?? 0) + sign);
  };
  let [openingCpu, unmaskedShards] = [0, 0];
  const maskingCpu = new Map(rings.map((ring) => [ring, 0]));
  const unmaskingCpu = new Map(rings.map((ring) => [ring, 0]));
  const session = new SessionInProcess({
    members,
    words,
    bits: rings[0]!.bits,
    seed: `bench ${members}`,
    offer: { droppingShare: Math.ceil((10_000 * dropped) / members) },
    drops,
    checks: members <= 128 ? undefined : (place) => (measured.has(place) ? secagg.nodeChecks : trusting()),
    around: (who, step, run) => {
      const before = cpuS();
      const result = run();
      const spent = cpuS() - before;
      const member = who === 'coordinator' ? undefined : measured.get(who);
      if (member) member.cpu += spent;
      if (who === 'coordinator' && (step === 'opening' || step === 'unmasked')) openingCpu += spent;
      return result;
    },
    passed: ({ from, to, signed, proof }) => {
      const size = signed.body.length + signed.signature.length + (proof?.length ?? 0);
      for (const [place, member] of measured) {
        if (from === place) member.up += size;
        if (to === place || to === 'all') member.down += size;
      }
    },
    mask: (place, { terms }) => {
      if (!drops.has(place)) count(terms);
      const member = measured.get(place);
      const lengthBytes = vectorBytes(rings[0]!);
      let chunkRoot: Uint8Array = createHash('sha256').update(String(place)).digest();
      for (const ring of member ? rings : []) {
        const before = cpuS();
        const packed = maskedVector(words, ring, terms);
        const root = new secagg.ChunkRoot();
        root.add(packed);
        chunkRoot = root.root();
        maskingCpu.set(ring, maskingCpu.get(ring)! + cpuS() - before);
      }
      return { chunkRoot, lengthBytes };
    },
    unmask: (shards) => {
      for (const { terms } of shards) count(terms);
      const taken = shards.length === 1 ? shards : shards.slice(0, 1);
      unmaskedShards = taken.length;
      for (const ring of rings) {
        const sum = secagg.ringWords(ring.bits, words);
        const before = cpuS();
        for (const { terms } of taken) secagg.addMasks(sum, terms);
        secagg.reduceWords(sum, ring.bits);
        unmaskingCpu.set(ring, ((cpuS() - before) * shards.length) / taken.length);
      }
    },
  }).run();
  if (session.outcome?.kind !== 'finished') throw new Error(`the session ended: ${session.outcome?.reason}`);
  const uncancelled = [...left.values()].filter((sign) => sign !== 0).length;
  if (uncancelled > 0) throw new Error(`${uncancelled} masks are left in the sum`);
  const mean = (of: (member: { cpu: number; up: number; down: number }) => number): number =>
    [...measured.values()].reduce((sum, member) => sum + of(member), 0) / measured.size;
  const { shards, sizes } = session.server.session!;
  const plainSumCpuS = plainSum(words, survivors.length);
  return rings.map((ring) => ({
    members,
    dropped,
    words,
    ...ring,
    threshold: sizes.shards[0]!.threshold,
    shards: shards.length,
    vectorBytes: vectorBytes(ring),
    upBytes: mean(({ up }) => up),
    downBytes: mean(({ down }) => down),
    nodeCpuS: mean(({ cpu }) => cpu) + maskingCpu.get(ring)! / measured.size,
    measuredMembers: measured.size,
    unmaskCpuS: openingCpu + unmaskingCpu.get(ring)!,
    unmaskedShards,
    plainSumCpuS,
  }));
}

function maskedVector(words: number, { bits }: Ring, terms: readonly secagg.MaskTerm[]): Uint8Array {
  const vector = secagg.ringWords(bits, words);
  secagg.addMasks(vector, terms);
  secagg.reduceWords(vector, bits);
  return secagg.packWords(vector, bits);
}

function plainSum(words: number, vectors: number): number {
  const sum = new Uint32Array(words);
  const vector = Uint32Array.from({ length: words }, (_, i) => Math.imul(i, 0x9e37_79b9));
  const before = cpuS();
  for (let k = 0; k < plainVectors; k++) addToRing(sum, vector);
  return ((cpuS() - before) * vectors) / plainVectors;
}
