/**
 * How many may collude, how many may drop, how many must agree. Every member computes these numbers itself from the
 * offer and the roster; none is taken from the coordinator. Integers and exact fractions only, so that all agree.
 */

/** Members of one shard at most; its graph is complete. */
export const maxShardMembers = 128;
export const maxCohort = 10_000;
export const minCohort = 3;
/** Below it a node takes part only where its policy says so. */
export const minCohortWithoutConsent = 5;

/** A signed advert in the roster, which every member is told whole: the longest message of all. */
const advertBytes = 236;
/** What the coordinator's line is taken to carry: 200 megabits. */
const lineBytesPerSec = 25e6;

/** How long it takes to tell every member of all the others, in whole milliseconds: 9 seconds for 1,000, none for a few. */
export const tellingMs = (members: number): number => Math.round((members ** 2 * advertBytes * 1000) / lineBytesPerSec);

/** Shares of the cohort in ten-thousandths. */
export interface SizeOptions {
  /** γ: members that may collude with the coordinator. */
  readonly colludingShare: number;
  /** δ: members that may drop. */
  readonly droppingShare: number;
  /** Colluders that a session must withstand however small it is; counts from four members. */
  readonly leastColluders: number;
}

export interface ShardSizes {
  readonly members: number;
  /** Colluders inside the shard at most (probability of more below 2⁻⁴⁰ over all shards). */
  readonly colluders: number;
  /** Shares that open a secret. */
  readonly threshold: number;
}

export interface CohortSizes {
  readonly members: number;
  /** c: colluders that the session withstands. */
  readonly colluders: number;
  /** Members that may drop with the session still ending in a sum. */
  readonly dropouts: number;
  /** T: signatures on one cut; 2T − n > c, so that two cuts would need an honest member to sign both. */
  readonly cutThreshold: number;
  readonly shards: readonly ShardSizes[];
}

const tenThousand = 10_000;
const shareOf = (share: number, members: number): number => Math.floor((share * members) / tenThousand);

/**
 * The sizes of a cohort, or why it cannot be.
 *
 * Up to 128 members: c = max(⌊γn⌋, least), t = T = ⌊(n + c)/2⌋ + 1. With three members c is 0, unless nobody may drop.
 * Above: ⌈n/128⌉ shards [own composition]; c_s is the smallest k with P[Hyp(n, c, m) > k] ≤ 2⁻⁴⁰/G and t_s the
 * largest k with P[Hyp(n, n − ⌊δn⌋, m) < k] ≤ 2⁻²⁰/G.
 */
export function cohortSizes(members: number, options: SizeOptions): CohortSizes | { readonly refusal: string } {
  if (!Number.isInteger(members) || members < minCohort || members > maxCohort)
    return { refusal: `${members} members: secure aggregation takes ${minCohort} to ${maxCohort}` };
  const dropouts = shareOf(options.droppingShare, members);
  const least = members > 3 || dropouts === 0 ? options.leastColluders : 0;
  const colluders = Math.max(shareOf(options.colludingShare, members), least);
  const cutThreshold = Math.floor((members + colluders) / 2) + 1;
  if (cutThreshold > members - dropouts) {
    return {
      refusal: `${members} members of whom ${colluders} may collude need ${cutThreshold} to agree, and ${dropouts} may drop`,
    };
  }
  const shared = { members, colluders, dropouts, cutThreshold };
  if (members <= maxShardMembers) return { ...shared, shards: [{ members, colluders, threshold: cutThreshold }] };
  const count = Math.ceil(members / maxShardMembers);
  const small = Math.floor(members / count);
  const sized = new Map<number, ShardSizes>();
  for (const size of members % count === 0 ? [small] : [small + 1, small])
    sized.set(size, shardSizes(members, { colluders, dropouts, size, count }));
  const shards = Array.from({ length: count }, (_, shard) => sized.get(small + (shard < members % count ? 1 : 0))!);
  const weak = shards.find(({ threshold, colluders: inside }) => threshold <= inside);
  if (weak) {
    return {
      refusal: `in a shard of ${weak.members} up to ${weak.colluders} may collude, and no more than ${weak.threshold} are sure to stay`,
    };
  }
  return { ...shared, shards };
}

function shardSizes(
  members: number,
  { colluders, dropouts, size, count }: { colluders: number; dropouts: number; size: number; count: number },
): ShardSizes {
  const bad = hypergeometricWays(members, colluders, size);
  const stay = hypergeometricWays(members, members - dropouts, size);
  const total = bad.reduce((sum, ways) => sum + ways, 0n);
  // P[X > k] ≤ 2⁻⁴⁰/G ⇔ ways(X > k) · 2⁴⁰ · G ≤ total
  let inside = size;
  for (let above = 0n; inside > 0; inside--) {
    above += bad[inside]!;
    if ((above << 40n) * BigInt(count) > total) break;
  }
  let threshold = 0;
  for (let below = 0n; threshold < size; threshold++) {
    below += stay[threshold]!;
    if ((below << 20n) * BigInt(count) > total) break;
  }
  return { members: size, colluders: inside, threshold: Math.max(2, threshold) };
}

/** Of the draws of `size` from `population` with `marked` in it: how many hold k marked ones, k = 0 … size. */
function hypergeometricWays(population: number, marked: number, size: number): bigint[] {
  const chosen = binomials(marked, size);
  const rest = binomials(population - marked, size);
  return chosen.map((ways, k) => ways * rest[size - k]!);
}

/** C(n, 0 … most). */
function binomials(n: number, most: number): bigint[] {
  const row = [1n];
  for (let k = 1; k <= most; k++) row.push(k > n ? 0n : (row[k - 1]! * BigInt(n - k + 1)) / BigInt(k));
  return row;
}
