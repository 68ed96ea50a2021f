import { ShardMeans } from '@weft/coordinator/shard-means';
import {
  addToRing,
  decodeSum,
  faultOfSum,
  fromRing,
  largestBoost,
  leastTrimmedShards,
  parseRunSpec,
  quantizeUpdate,
  secagg,
  toRing,
  updateEncoding,
  type SeededRandom,
  type UpdateEncoding,
} from '@weft/shared';
import { distance, honestUpdates, type MeasuredBoost, type Scene } from './scene.ts';

type Words = ReturnType<typeof toRing>;

interface Attack {
  readonly name: string;
  /** @param sum of the member's shard. @param mean of all. @returns a direction for the sum, of any length */
  readonly direction: (sum: Int32Array, mean: Float64Array) => Float64Array;
}

const attacks: readonly Attack[] = [
  { name: 'against the mean', direction: (_, mean) => mean.map((value) => -value) },
  { name: 'against its shard', direction: (sum) => Float64Array.from(sum, (value) => -value) },
  { name: 'against each sign', direction: (_, mean) => mean.map((value) => -Math.sign(value)) },
  { name: 'all one way', direction: (_, mean) => mean.map(() => 1) },
];

/**
 * Under masks one member may send any words: here those that make the sum of its shard the longest that the coordinator's
 * test takes, or one that it refuses.
 */
export function moveUnderMasks(
  { nodes, values, common }: Scene,
  shardRule: 'mean' | 'trimmed-mean',
  random: SeededRandom,
): MeasuredBoost {
  const spec = parseRunSpec({
    name: 'boost',
    baseModel: { name: 'none', sha256: '0'.repeat(64) },
    training: { steps: 1 },
    cohort: { minimum: nodes, maximum: nodes },
    aggregation: { mode: 'secure', weighting: 'uniform', clipNormL2: 1, secure: { shardRule } },
    rounds: 1,
  });
  const encoding = updateEncoding(spec, values);
  const { trimShare } = spec.aggregation.robust;
  const trimmed = shardRule === 'trimmed-mean' ? trimShare : undefined;
  const shards = Math.ceil(nodes / secagg.maxShardMembers);
  const updates = honestUpdates({ nodes, values, common }, random);
  const sums = Array.from({ length: shards }, (_, shard) => {
    const members = updates.filter((_, node) => node % shards === shard);
    return { words: sumOf(encoding, members, random), nodes: members.length };
  });
  const honest = aggregateOf(encoding, sums, trimmed);
  const [own, ...others] = sums as [Sum, ...Sum[]];
  let best = { measured: 0, attack: 'none' };
  const attempt = (attack: string, left: readonly Sum[]): void => {
    const measured = distance(aggregateOf(encoding, left, trimmed), honest);
    if (measured > best.measured) best = { measured, attack };
  };
  for (const { name, direction } of attacks) {
    const towards = direction(fromRing(encoding.form, own.words).coordinates, honest);
    attempt(name, [{ ...own, words: longest(encoding, towards, own.nodes) }, ...others]);
  }
  if (others.length >= (trimmed === undefined ? 1 : leastTrimmedShards)) attempt('a sum to be refused', others);
  const rule = `${shardRule}, secure${shards > 1 ? `, ${shards} shards` : ''}`;
  return { rule, nodes, ...best, bound: largestBoost(spec, values).clipNorms };
}

interface Sum {
  readonly words: Words;
  readonly nodes: number;
}

function sumOf({ form, grid }: UpdateEncoding, updates: readonly Float64Array[], random: SeededRandom): Words {
  const settings = { clipNormL2: 1, weight: 1, weightCap: 1, rotationSeed: 'boost', random };
  const sum = secagg.ringWords(form.bits, form.dim + form.limbs);
  for (const update of updates)
    addToRing(sum, toRing(form, quantizeUpdate(Float32Array.from(update), grid, settings)!.coordinates, 1));
  secagg.reduceWords(sum, form.bits);
  return sum;
}

/** The sum in this direction, as long as the test takes to within a thousandth. */
function longest(encoding: UpdateEncoding, direction: Float64Array, nodes: number): Words {
  const { form, grid } = encoding;
  const norm = distance(direction, new Float64Array(direction.length));
  const words = (length: number): Words =>
    toRing(
      form,
      Int32Array.from(direction, (value) => Math.trunc((value * length) / norm)),
      nodes,
    );
  const unit = (nodes * grid.scale) / 1000;
  let thousandths = 1000;
  while (faultOfSum(encoding, words((thousandths + 1) * unit), nodes) === undefined) thousandths++;
  const made = words(thousandths * unit);
  const fault = faultOfSum(encoding, made, nodes);
  if (fault !== undefined) throw new Error(`the attack was to stand the test: ${fault}`);
  return made;
}

function aggregateOf(encoding: UpdateEncoding, sums: readonly Sum[], trimShare: number | undefined): Float64Array {
  const meanOf = ({ words, nodes }: Sum): Float64Array =>
    decodeSum(encoding, words, { rotationSeed: 'boost', nodes }).meanDelta;
  if (trimShare !== undefined) {
    const means = new ShardMeans();
    for (const sum of sums) means.add(meanOf(sum));
    return means.trimmedMean(trimShare);
  }
  const { form } = encoding;
  const total = secagg.ringWords(form.bits, form.dim + form.limbs);
  for (const { words } of sums) addToRing(total, words);
  secagg.reduceWords(total, form.bits);
  return meanOf({ words: total, nodes: sums.reduce((count, { nodes }) => count + nodes, 0) });
}
