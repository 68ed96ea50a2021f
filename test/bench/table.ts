import { type Figure, tokensPerSecond } from './figures.ts';
import type { BenchRun } from './train-bench.ts';

const megabytes = (bytes: number): string => (bytes === 0 ? '' : (bytes / 1e6).toFixed(0));

export const aligned = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
};

/** Every subject by itself. Absolute figures hold for this machine in this minute only. */
export function runTable({ measured, products, skipped }: BenchRun): string {
  const rows = measured.map((one) => [
    `${one.work} ${one.subject}`,
    tokensPerSecond(one, 'median').toFixed(0),
    tokensPerSecond(one, 'best').toFixed(0),
    megabytes(one.memory.residentBytes),
    megabytes(one.memory.withoutFilesBytes),
    one.firstLoss.toFixed(4),
  ]);
  const rates = Object.entries(products).map(
    ([work, { flopsPerSecond }]) => `${work} products alone: ${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s\n`,
  );
  const head = ['', 'tokens/s', 'best', 'peak MB', 'without files', 'first loss'];
  return `${aligned([head, ...rows])}${rates.join('')}${skipped.map((what) => `left out: ${what}\n`).join('')}`;
}

export function tableOf(figures: readonly Figure[]): string {
  const digits = { '': 2, '%': 0, s: 1, MB: 0 } as const;
  const shown = (value: number | undefined, unit: Figure['unit'], exactly?: number): string =>
    value === undefined || !Number.isFinite(value)
      ? ''
      : `${value.toFixed(exactly ?? digits[unit])}${unit === '' ? '' : ` ${unit}`}`;
  const rows = figures.map(({ name, value, best, unit, digits: exactly, reach, aim, verdict }) => [
    name,
    shown(value, unit, exactly),
    shown(best, unit),
    shown(reach, unit),
    shown(aim, unit),
    `  ${verdict}`,
  ]);
  return aligned([['', 'median', 'best', 'reach', 'aim', ''], ...rows]);
}
