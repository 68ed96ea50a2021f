import { parquetLimits } from './parquet-limits.ts';

/** What is wrong with a file, in words that quote nothing of it. It crosses the thread's border as a message. */
export class ParquetFault extends Error {
  override readonly name = 'ParquetFault';
  readonly limit: string | undefined;

  constructor(what: string, limit?: string) {
    super(what);
    this.limit = limit;
  }
}

/** @throws ParquetFault where `actual`, which the file claims, is above the limit */
export function withinLimit(name: keyof typeof parquetLimits, actual: number): void {
  if (actual <= parquetLimits[name]) return;
  throw new ParquetFault(`${name} is ${actual}, the limit is ${parquetLimits[name]}`, `data.${name}`);
}
