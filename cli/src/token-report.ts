import type { EncodeReport, Padding } from '@weft/trainer';

const number = (value: number): string => value.toLocaleString('en-US');
const percent = (part: number, whole: number): string => `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;

/** A sentence before training or scoring, so that a cut or a masked prompt is no surprise. */
export const tokenReport = (report: EncodeReport, sequenceLength: number): string => {
  const { truncated, cutTokens, dropped, lengths } = report;
  const cut =
    truncated === 0
      ? ''
      : `; ${number(truncated)} cut at --seq ${sequenceLength}, ${number(cutTokens)} tokens left out`;
  const left = dropped === 0 ? '' : `; ${number(dropped)} left out, as nothing in them counts`;
  return (
    `${number(report.records)} records, ${number(report.examples)} examples: ` +
    `${number(report.tokens)} tokens, of which the loss counts ${number(report.countedTokens)}${cut}${left}\n` +
    `lengths: ${number(lengths.min)} to ${number(lengths.max)} tokens, median ${number(lengths.median)}, ` +
    `95 % have at most ${number(lengths.p95)}`
  );
};

/** What of an epoch's computing goes into padding. */
export const paddingReport = ({ tokens }: EncodeReport, { computedTokens, packedTokens }: Padding): string =>
  `padding: ${percent(computedTokens - tokens, computedTokens)} of ${number(computedTokens)} tokens computed an epoch; ` +
  `packed ${percent(packedTokens - tokens, packedTokens)} of ${number(packedTokens)}`;
