import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type MaskRates, measureMaskRates } from './machine-limit.ts';
import { measureSession, type SessionCase, type SessionFigures } from './measure-session.ts';

/** `pnpm bench secagg`: what a node and the server spend on secure aggregation, beside the plain sum and Flower's SecAgg+. */

export interface FlowerFigures {
  readonly version: string;
  readonly members: number;
  readonly dropped: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly nodeCpuS: number;
  readonly unmaskCpuS: number;
}

export interface SecaggRun {
  readonly sessions: readonly SessionFigures[];
  readonly flower: readonly FlowerFigures[];
  readonly masks: MaskRates;
  readonly skipped: readonly string[];
  /** Over one minute, before and after. */
  readonly load: readonly [number, number];
}

const words = 2 ** 20;
const flowerScript = fileURLToPath(new URL('flower_secagg.py', import.meta.url));

/** b for the unsigned sum of n coordinates of q bits with uniform weights: n·(2^q − 1) < 2^b, at least 8. */
const ringBitsFor = (members: number, quantizedBits: number): number => {
  let bits = 8;
  while (members * (2 ** quantizedBits - 1) >= 2 ** bits) bits++;
  return bits;
};

function casesOf(quick: boolean): SessionCase[] {
  const drops = quick ? [0.3] : [0.1, 0.3];
  return (quick ? [10, 30] : [10, 30, 100, 1000]).flatMap((members) =>
    drops.map((share) => ({
      members,
      dropped: Math.floor(members * share),
      words,
      rings: [
        { quantizedBits: 16, bits: 32 },
        { quantizedBits: 4, bits: ringBitsFor(members, 4) },
      ],
    })),
  );
}

export function measureSecagg({
  quick,
  python,
  report,
}: {
  quick: boolean;
  python: string | undefined;
  report: (line: string) => void;
}): SecaggRun {
  const load = (): number => loadavg()[0]!;
  const before = load();
  const masks = measureMaskRates();
  const sessions: SessionFigures[] = [];
  const flower: FlowerFigures[] = [];
  const skipped: string[] = [];
  if (!python) skipped.push("Flower's SecAgg+: no Python with flwr");
  for (const work of casesOf(quick)) {
    report(`Weft: ${work.members} members, ${work.dropped} dropped`);
    const figures = measureSession(work);
    sessions.push(...figures);
    for (const run of figures)
      report(`  ${run.bits} bits: node ${seconds(run.nodeCpuS)}, unmask ${seconds(run.unmaskCpuS)}`);
    // In pairs, so that a change of the machine's load meets both. A thousand would take Flower hours.
    if (!python || work.members > 100) continue;
    report(`Flower: ${work.members} members, ${work.dropped} dropped`);
    const ran = runFlower(python, work, figures[0]!.threshold);
    if (typeof ran === 'string') skipped.push(`Flower's SecAgg+ with ${work.members} members: ${ran}`);
    else flower.push({ ...ran, members: work.members, dropped: work.dropped });
  }
  return { sessions, flower, masks, skipped, load: [before, load()] };
}

/** Its unmasking of a hundred members alone takes minutes; the whole bench is to end within twenty. */
const flowerLimitMs = 6 * 60_000;

/** Every member is measured where that is quick. */
const measuredByFlower = (members: number): number => (members <= 10 ? members : 3);

function runFlower(python: string, { members, dropped }: SessionCase, threshold: number) {
  const { status, signal, stdout, stderr } = spawnSync(python, [flowerScript], {
    encoding: 'utf8',
    timeout: flowerLimitMs,
    input: JSON.stringify({ members, dropped, words, threshold, measured: measuredByFlower(members) }),
  });
  if (signal) return `it did not end within ${flowerLimitMs / 60_000} minutes`;
  if (status !== 0) return stderr.trim().split('\n').at(-1) ?? `it ended with ${status}`;
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Omit<FlowerFigures, 'members' | 'dropped'>;
}

const seconds = (value: number): string => `${value.toFixed(value < 1 ? 3 : 2)} s`;
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;

export function secaggRows({ sessions, flower }: SecaggRun): string[][] {
  const heading = [
    'who',
    'n',
    'dropped',
    'q',
    'b',
    'vector',
    'up beside it',
    'down',
    'over',
    'node CPU',
    'unmask CPU',
    'plain sum',
  ];
  return [
    heading,
    ...sessions.map((run) => [
      run.shards > 1 ? `Weft, ${run.shards} shards` : 'Weft',
      String(run.members),
      String(run.dropped),
      String(run.quantizedBits),
      String(run.bits),
      kib(run.vectorBytes),
      kib(run.upBytes),
      kib(run.downBytes),
      `${overPercent(run).toFixed(2)} %`,
      `${seconds(run.nodeCpuS)}${run.measuredMembers < run.members ? ` (of ${run.measuredMembers})` : ''}`,
      `${seconds(run.unmaskCpuS)}${run.unmaskedShards < run.shards ? ` (masks of ${run.unmaskedShards} shard, times ${run.shards})` : ''}`,
      seconds(run.plainSumCpuS),
    ]),
    ...flower.map((run) => [
      `Flower ${run.version}`,
      String(run.members),
      String(run.dropped),
      '22',
      '64',
      'in up',
      kib(run.upBytes),
      kib(run.downBytes),
      '',
      seconds(run.nodeCpuS),
      seconds(run.unmaskCpuS),
      '',
    ]),
  ];
}

/** Weft's part of what Flower takes, for the same members and dropouts. */
export function againstFlower({ sessions, flower }: SecaggRun): string[] {
  return sessions.flatMap((run) => {
    const other = flower.find(({ members, dropped }) => members === run.members && dropped === run.dropped);
    if (!other) return [];
    const ratio = (ours: number, theirs: number): string => (ours / theirs).toFixed(3);
    return [
      `n = ${run.members}, ${run.dropped} dropped, ${run.bits} bits: ${ratio(run.vectorBytes + run.upBytes, other.upBytes)} of Flower's bytes up, ` +
        `${ratio(run.nodeCpuS, other.nodeCpuS)} of its node CPU, ${ratio(run.unmaskCpuS, other.unmaskCpuS)} of its unmasking`,
    ];
  });
}

interface Target {
  readonly name: string;
  readonly of: (run: SessionFigures) => boolean;
  readonly figure: (run: SessionFigures) => number;
  readonly limit: number;
  readonly unit: 's' | '%';
}

const at32 = (members: number, dropped: number) => (run: SessionFigures) =>
  run.bits === 32 && run.members === members && run.dropped === dropped;
const overPercent = (run: SessionFigures): number => (100 * (run.upBytes + run.downBytes)) / run.vectorBytes;

/** What a session should take at most, on two cores of today. */
const targets: readonly Target[] = [
  { name: 'reach: node, n = 100', of: at32(100, 30), figure: (run) => run.nodeCpuS, limit: 1, unit: 's' },
  { name: 'reach: server unmask, n = 100', of: at32(100, 30), figure: (run) => run.unmaskCpuS, limit: 8, unit: 's' },
  { name: 'reach: node, n = 30', of: at32(30, 9), figure: (run) => run.nodeCpuS, limit: 0.2, unit: 's' },
  { name: 'reach: server unmask, n = 30', of: at32(30, 9), figure: (run) => run.unmaskCpuS, limit: 1.5, unit: 's' },
  { name: 'aim: server unmask, n = 30', of: at32(30, 9), figure: (run) => run.unmaskCpuS, limit: 0.7, unit: 's' },
  ...[10, 30, 100].map((members) => ({
    name: `reach: bytes beside the vector, n = ${members}`,
    of: at32(members, Math.floor(members * 0.3)),
    figure: overPercent,
    limit: 2,
    unit: '%' as const,
  })),
];

/** One line a target: what this run took, and by how much that is under or over. */
export function againstTargets({ sessions }: SecaggRun): string[] {
  return targets.flatMap(({ name, of, figure, limit, unit }) => {
    const run = sessions.find(of);
    if (!run) return [];
    const taken = figure(run);
    const apart = `${Math.abs((100 * (taken - limit)) / limit).toFixed(0)} %`;
    const verdict = taken <= limit ? `reached, ${apart} below` : `missed by ${apart}`;
    return [
      `${name}, ${run.dropped} dropped, ${run.bits} bits: ${taken.toFixed(2)} ${unit} of at most ${limit} ${unit}, ${verdict}`,
    ];
  });
}
