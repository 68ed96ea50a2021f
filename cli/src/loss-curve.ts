/** The loss curve of a training as a picture that stands by itself: SVG without scripts, fonts or outside references. */

const width = 800;
const height = 450;
const plot = { left: 70, right: 780, top: 50, bottom: 390 };
/** More points than pixels only make the file large. */
const pointLimit = plot.right - plot.left;

/** The loss of the held-out data when `step` steps were done; before the first it is 0. */
export interface ValidationScore {
  readonly step: number;
  readonly loss: number;
}

/**
 * @param losses of the steps 1, 2, …, in nats a token, all finite
 * @param validation in order of steps
 */
export const lossCurve = (
  losses: readonly number[],
  name: string,
  validation: readonly ValidationScore[] = [],
): string => {
  const points = thinned(losses);
  const firstStep = Math.min(1, validation[0]?.step ?? 1);
  const stepTicks = ticks(firstStep, Math.max(2, losses.length), 8).filter(Number.isInteger);
  const both = [...points, ...validation];
  const lowest = points.reduce((low, { loss }) => Math.min(low, loss), Number.POSITIVE_INFINITY);
  const bottom = both.reduce((low, { loss }) => Math.min(low, loss), Number.POSITIVE_INFINITY);
  const highest = both.reduce((high, { loss }) => Math.max(high, loss), Number.NEGATIVE_INFINITY);
  // a flat curve still needs an axis around it
  const margin = Math.max((highest - bottom) * 0.05, Math.abs(highest) * 0.01, 1e-6);
  const [low, high] = [Math.max(0, bottom - margin), highest + margin];
  const lossTicks = ticks(low, high, 6);
  const x = scale(firstStep, Math.max(2, losses.length), plot.left, plot.right);
  const y = scale(low, high, plot.bottom, plot.top);
  const line = (curve: readonly ValidationScore[]): string =>
    curve.map(({ step, loss }) => `${px(x(step))},${px(y(loss))}`).join(' ');
  const [first, last] = [points.at(0), points.at(-1)];
  const title = `Training loss of ${escapeXml(name)}`;
  const said =
    first && last
      ? `From ${first.loss.toFixed(4)} at step ${first.step} to ${last.loss.toFixed(4)} at step ${last.step}, lowest ${lowest.toFixed(4)}.`
      : 'No step was taken.';
  const ends = [validation.at(0), validation.at(-1)];
  const validated =
    ends[0] && ends[1]
      ? ` Validation from ${ends[0].loss.toFixed(4)} after step ${ends[0].step} to ${ends[1].loss.toFixed(4)} after step ${ends[1].step}.`
      : '';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="13" fill="#1f2937">
  <title id="title">${title}</title>
  <desc id="desc">${said}${validated}</desc>
  <rect width="${width}" height="${height}" fill="#ffffff"/>
  <text x="${plot.left}" y="30" font-size="16" font-weight="600">${title}</text>
  <g stroke="#e5e7eb">
${lossTicks.map((tick) => `    <path d="M${plot.left} ${px(y(tick))}H${plot.right}"/>`).join('\n')}
  </g>
  <g text-anchor="end">
${lossTicks.map((tick) => `    <text x="${plot.left - 8}" y="${px(y(tick) + 4)}">${tickText(tick, lossTicks)}</text>`).join('\n')}
  </g>
  <g text-anchor="middle">
${stepTicks.map((tick) => `    <text x="${px(x(tick))}" y="${plot.bottom + 20}">${tick}</text>`).join('\n')}
    <text x="${(plot.left + plot.right) / 2}" y="${height - 14}">step</text>
    <text transform="translate(20 ${(plot.top + plot.bottom) / 2}) rotate(-90)">loss (nats a token)</text>
  </g>
  <path d="M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}" fill="none" stroke="#6b7280"/>
  <polyline points="${line(points)}" fill="none" stroke="#1d4ed8" stroke-width="1.5" stroke-linejoin="round"/>
${validation.length === 0 ? '' : validationCurve(line(thinnedScores(validation)))}</svg>
`;
};

/** The second curve, its points told apart by more than colour, and the words that name both. */
const validationCurve = (points: string): string => `  <g fill="none" stroke="#b45309" stroke-width="1.5">
    <polyline points="${points}" stroke-dasharray="6 3" stroke-linejoin="round"/>
  </g>
  <g text-anchor="end">
    <text x="${plot.right}" y="24" fill="#1d4ed8">training</text>
    <text x="${plot.right}" y="42" fill="#b45309">validation (dashed)</text>
  </g>
`;

/** Scores are few; of many each so many-th, and the last. */
const thinnedScores = (scores: readonly ValidationScore[]): readonly ValidationScore[] => {
  const every = Math.ceil(scores.length / pointLimit);
  return scores.filter((_, index) => index % every === 0 || index === scores.length - 1);
};

interface Point {
  readonly step: number;
  readonly loss: number;
}

/** Every step, or, of many, the mean of as many steps in a row as share a pixel; the ends stay as they are. */
const thinned = (losses: readonly number[]): Point[] => {
  const all = losses.map((loss, index) => ({ step: index + 1, loss }));
  const group = Math.ceil(all.length / pointLimit);
  if (group <= 1) return all;
  const means: Point[] = [];
  for (let start = 0; start < all.length; start += group) {
    const members = all.slice(start, start + group);
    const middle = members[members.length >> 1] as Point;
    means.push({ step: middle.step, loss: members.reduce((sum, { loss }) => sum + loss, 0) / members.length });
  }
  return [...all.slice(0, 1), ...means.slice(1, -1), ...all.slice(-1)];
};

const scale =
  (from: number, to: number, start: number, end: number) =>
  (value: number): number =>
    start + ((value - from) / (to - from)) * (end - start);

/** Round values between two others: multiples of 1, 2 or 5 times a power of ten (Heckbert, Graphics Gems, 1990). */
const ticks = (from: number, to: number, count: number): number[] => {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, index) => (first + index) * step);
};

/** As many digits as the distance of the ticks needs. */
const tickText = (tick: number, all: readonly number[]): string => {
  const distance = (all[1] ?? 1) - (all[0] ?? 0);
  return tick.toFixed(Math.max(0, Math.ceil(-Math.log10(distance) - 1e-9)));
};

const px = (value: number): string => value.toFixed(1);

const escapeXml = (text: string): string =>
  text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, '\uFFFD')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
