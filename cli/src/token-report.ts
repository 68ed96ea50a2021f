/** What encoding a data file came to. */
export interface TokenCounts {
  readonly records: number;
  readonly examples: number;
  readonly tokens: number;
  readonly countedTokens: number;
  readonly truncated: number;
  readonly dropped: number;
}

const number = (value: number): string => value.toLocaleString('en-US');

/** One sentence before training, so that a cut or a masked prompt is no surprise. */
export const tokenReport = (counts: TokenCounts, sequenceLength: number): string => {
  const cut = counts.truncated === 0 ? '' : `; ${number(counts.truncated)} cut at --seq ${sequenceLength}`;
  const left = counts.dropped === 0 ? '' : `; ${number(counts.dropped)} left out, as nothing in them counts`;
  return (
    `${number(counts.records)} records, ${number(counts.examples)} examples: ` +
    `${number(counts.tokens)} tokens, of which the loss counts ${number(counts.countedTokens)}${cut}${left}`
  );
};
