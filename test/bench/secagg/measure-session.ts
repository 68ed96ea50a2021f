import { createHash } from 'node:crypto';
import process from 'node:process';
import { addToRing, secagg } from '@weft/shared';
import { type DropStep, hex, SessionInProcess } from '../../secagg-session.ts';

/** One session, all of its messages and keys; the vectors of a few members only, whose time stands for the others'. */

export interface SessionCase {
  readonly members: number;
  /** Who drops after the shares are dealt, before the vector is sent: what costs the server most. */
  readonly dropped: number;
  /** q: bits of one quantised coordinate. */
  readonly quantizedBits: number;
  /** b: bits of the ring, enough for the sum of n such coordinates. */
  readonly bits: number;
  readonly words: number;
}

export interface SessionFigures extends SessionCase {
  readonly threshold: number;
  readonly shards: number;
  readonly vectorBytes: number;
  /** Mean over the measured members; the vector is not in it. */
  readonly upBytes: number;
  /** Without the model that is offered. */
  readonly downBytes: number;
  readonly nodeCpuS: number;
  /** From the first opening to the sum without masks. */
  readonly unmaskCpuS: number;
  /** Shards whose masks were taken off in this run; the time is scaled to all of them. */
  readonly unmaskedShards: number;
  /** The vectors of all survivors added up, as in mode plain: 32-bit words. */
  readonly plainSumCpuS: number;
}

const measuredMembers = 3;
const plainVectors = 4;

const cpuS = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Members that another member checked already need not check each other again, or a thousand would take an hour. */
const trusting = (): typeof secagg.nodeChecks => ({
  ...secagg.nodeChecks,
  roster: { ...secagg.nodeChecks.roster, advertsSigned: () => true },
});

export function measureSession(work: SessionCase): SessionFigures {
  const { members, dropped, words, bits } = work;
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
  const vectorBytes = Math.ceil((words * bits) / 8);
  const left = new Map<string, number>();
  const count = (terms: readonly secagg.MaskTerm[]): void => {
    for (const { seed, sign } of terms) left.set(hex(seed), (left.get(hex(seed)) ?? 0) + sign);
  };
  let [unmaskCpu, unmaskedShards] = [0, 0];
  const session = new SessionInProcess({
    members,
    words,
    bits,
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
      if (who === 'coordinator' && (step === 'opening' || step === 'unmasked')) unmaskCpu += spent;
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
      if (!member) return { chunkRoot: createHash('sha256').update(String(place)).digest(), lengthBytes: vectorBytes };
      const before = cpuS();
      const vector = secagg.ringWords(bits, words);
      secagg.addMasks(vector, terms);
      secagg.reduceWords(vector, bits);
      const packed = secagg.packWords(vector, bits);
      const root = new secagg.ChunkRoot();
      root.add(packed);
      const chunkRoot = root.root();
      member.cpu += cpuS() - before;
      return { chunkRoot, lengthBytes: packed.length };
    },
    unmask: (shards) => {
      for (const { terms } of shards) count(terms);
      const taken = shards.length === 1 ? shards : shards.slice(0, 1);
      unmaskedShards = taken.length;
      const sum = secagg.ringWords(bits, words);
      const before = cpuS();
      for (const { terms } of taken) secagg.addMasks(sum, terms);
      secagg.reduceWords(sum, bits);
      unmaskCpu += ((cpuS() - before) * shards.length) / taken.length;
    },
  }).run();
  if (session.outcome?.kind !== 'finished') throw new Error(`the session ended: ${session.outcome?.reason}`);
  const uncancelled = [...left.values()].filter((sign) => sign !== 0).length;
  if (uncancelled > 0) throw new Error(`${uncancelled} masks are left in the sum`);
  const mean = (of: (member: { cpu: number; up: number; down: number }) => number): number =>
    [...measured.values()].reduce((sum, member) => sum + of(member), 0) / measuredMembers;
  const { shards, sizes } = session.server.session!;
  return {
    ...work,
    threshold: sizes.shards[0]!.threshold,
    shards: shards.length,
    vectorBytes,
    upBytes: mean(({ up }) => up),
    downBytes: mean(({ down }) => down),
    nodeCpuS: mean(({ cpu }) => cpu),
    unmaskCpuS: unmaskCpu,
    unmaskedShards,
    plainSumCpuS: plainSum(words, survivors.length),
  };
}

function plainSum(words: number, vectors: number): number {
  const sum = new Uint32Array(words);
  const vector = Uint32Array.from({ length: words }, (_, i) => Math.imul(i, 0x9e37_79b9));
  const before = cpuS();
  for (let k = 0; k < plainVectors; k++) addToRing(sum, vector);
  return ((cpuS() - before) * vectors) / plainVectors;
}
