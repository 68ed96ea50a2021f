import { cases, isWeft, learningSteps, tokensOf } from './cases.ts';
import { type BenchRun, type Measured, median } from './train-bench.ts';

/** A line of the table: of the medians, and of the best steps where that means something. */
export interface Figure {
  readonly name: string;
  /** Undefined where a part of it was left out. */
  readonly value: number | undefined;
  readonly best?: number | undefined;
  readonly unit: '' | '%' | 's' | 'MB';
  readonly reach?: number;
  readonly aim?: number;
  /** Whether less is better. */
  readonly lower?: boolean;
  /** After the point, where it is not the unit's. */
  readonly digits?: number;
  readonly verdict: string;
}

/** What the trainer is held to. Ratios are Weft ÷ PyTorch. */
const goals = {
  fp32: { reach: 1.4, aim: 1.7 },
  fastest: { reach: 1, aim: 1.4 },
  share: { reach: 75, aim: 90 },
  memory: { reach: 0.6, aim: 0.35, lower: true },
  checkpointing: { reach: 1, aim: 1.5 },
  longMegabytes: { reach: 1500, aim: 1000, lower: true },
  start: { reach: 3, aim: 1, lower: true },
  loss: { reach: 1.02, lower: true },
} as const;

export function figuresOf({ measured, products, start, predictedBytes, learning }: BenchRun): Figure[] {
  const of = (work: string, subject: string): Measured | undefined =>
    measured.find((one) => one.work === work && one.subject === subject);
  const works = cases.map(({ name }) => name).filter((name) => of(name, 'weft') !== undefined);
  const recomputes = new Set(cases.flatMap(({ name, checkpointing }) => (checkpointing ? [name] : [])));
  const speeds = works.map((work) =>
    figure({
      name: `${work}: fp32 tokens/s ÷ PyTorch fp32`,
      ...speedup(of(work, 'weft'), of(work, 'fp32')),
      ...(recomputes.has(work) ? goals.checkpointing : goals.fp32),
    }),
  );
  const first = cases[0].name;
  const ours = of(first, 'weft');
  const fastestOf = (wanted: (subject: string) => boolean): Measured | undefined =>
    measured
      .filter(({ work, subject }) => work === first && wanted(subject))
      .toSorted((a, b) => median(a.stepsMs) - median(b.stepsMs))[0];
  const fastest = fastestOf((subject) => !isWeft(subject));
  const ourFastest = fastestOf(isWeft);
  const int8 = of(first, 'weft int8');
  // what is computed again, and what blocks of queries spare, is not counted in a step's products
  const shares = works
    .filter((work) => !recomputes.has(work))
    .map((work) => {
      const known = products[work];
      const share = (ms: number | undefined): number | undefined =>
        known && ms && (100 * known.stepFlops) / (ms / 1000) / known.flopsPerSecond;
      const steps = of(work, 'weft')?.stepsMs;
      const values = { value: share(steps && median(steps)), best: share(steps && Math.min(...steps)) };
      return figure({ name: `${work}: share of the products' rate`, ...values, unit: '%', ...goals.share });
    });
  const peer = of(first, 'fp32');
  const stepMs = ours ? median(ours.stepsMs) : Number.NaN;
  const seconds = (endMs: number | undefined, step: number): number | undefined =>
    endMs === undefined ? undefined : Math.max(0, endMs - step) / 1000;
  return [
    ...speeds,
    figure({
      name: `${first}: our fastest (${ourFastest?.subject ?? 'none'}) ÷ PyTorch's fastest (${fastest?.subject ?? 'none'})`,
      ...speedup(ourFastest, fastest),
      ...goals.fastest,
    }),
    ...works.map((work) =>
      figure({ name: `${work}: int8 ÷ our fp32, tokens/s`, ...speedup(of(work, 'weft int8'), of(work, 'weft')) }),
    ),
    figure({
      name: `loss after ${learningSteps} steps on text, int8 ÷ fp32`,
      value: over(learning?.int8, learning?.fp32),
      digits: 4,
      ...goals.loss,
    }),
    ...shares,
    figure({
      name: `${first}: peak resident memory ÷ PyTorch fp32`,
      value: over(ours?.memory.residentBytes, peer?.memory.residentBytes),
      ...goals.memory,
    }),
    figure({
      name: `${first}: the same without pages of files`,
      value: over(ours?.memory.withoutFilesBytes, peer?.memory.withoutFilesBytes),
    }),
    ...works
      .filter((work) => recomputes.has(work))
      .map((work) => {
        const bytes = of(work, 'weft')?.memory.residentBytes;
        return figure({
          name: `${work}: peak resident memory`,
          value: bytes && bytes / 1e6,
          unit: 'MB',
          ...goals.longMegabytes,
        });
      }),
    ...works.map((work) =>
      figure({
        name: `${work}: memory, foretold ÷ measured`,
        value: over(predictedBytes[work], of(work, 'weft')?.memory.residentBytes),
      }),
    ),
    figure({
      name: `${first}: peak resident memory of int8 ÷ PyTorch fp32`,
      value: over(int8?.memory.residentBytes, peer?.memory.residentBytes),
      ...goals.memory,
    }),
    figure({
      name: `${first}: the same without pages of files`,
      value: over(int8?.memory.withoutFilesBytes, peer?.memory.withoutFilesBytes),
    }),
    figure({
      name: 'start to first step, empty cache',
      value: seconds(median(start.emptyMs), stepMs),
      unit: 's',
      ...goals.start,
    }),
    figure({ name: 'start to first step, filled cache', value: seconds(median(start.filledMs), stepMs), unit: 's' }),
    figure({
      name: 'start to first step, PyTorch fp32',
      value: seconds(peer?.startMs, peer ? median(peer.stepsMs) : Number.NaN),
      unit: 's',
    }),
  ];
}

export const tokensPerSecond = ({ work, stepsMs }: Measured, of: 'median' | 'best'): number => {
  const known = cases.find(({ name }) => name === work) ?? cases[0];
  return (1000 * tokensOf(known)) / (of === 'median' ? median(stepsMs) : Math.min(...stepsMs));
};

const over = (ours: number | undefined, theirs: number | undefined): number | undefined =>
  ours && theirs ? ours / theirs : undefined;

const speedup = (ours: Measured | undefined, theirs: Measured | undefined): { value?: number; best?: number } =>
  ours && theirs
    ? {
        value: tokensPerSecond(ours, 'median') / tokensPerSecond(theirs, 'median'),
        best: tokensPerSecond(ours, 'best') / tokensPerSecond(theirs, 'best'),
      }
    : {};

type Given = Omit<Figure, 'verdict' | 'unit' | 'value'> & Partial<Pick<Figure, 'unit' | 'value'>>;

export function figure(given: Given): Figure {
  const { value, reach, aim, lower = false } = given;
  return { unit: '', ...given, value, verdict: verdictOf(value, reach, aim, lower) };
}

function verdictOf(
  value: number | undefined,
  reach: number | undefined,
  aim: number | undefined,
  lower: boolean,
): string {
  if (value === undefined || !Number.isFinite(value)) return 'not measured';
  const missedBy = (goal: number): number => Math.max(0, (lower ? value - goal : goal - value) / goal);
  const percent = (share: number): string => `${Math.max(1, Math.round(100 * share))} %`;
  if (reach === undefined) return '';
  if (missedBy(reach) > 0) return `missed by ${percent(missedBy(reach))}`;
  if (aim === undefined) return 'reached';
  return missedBy(aim) > 0 ? `reached; aim missed by ${percent(missedBy(aim))}` : 'aim reached';
}
