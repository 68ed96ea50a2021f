import { describe, expect, it } from 'vitest';
import { formatAgo, formatBytes, formatSeconds, formatShare } from './format.ts';

describe('what is written on the page', () => {
  it('writes bytes in the unit that leaves few digits', () => {
    expect([0, 1023, 1024, 150 * 1024, 3.5 * 2 ** 30].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '150 KiB',
      '3.5 GiB',
    ]);
  });

  it('writes seconds as minutes and hours where they are many', () => {
    expect([0, 0.0401, 1.25, 12.4, 59.6, 61, 3725].map(formatSeconds)).toEqual([
      '0.0 s',
      '40 ms',
      '1.3 s',
      '12 s',
      '60 s',
      '1 min 1 s',
      '1 h 2 min',
    ]);
  });

  it('never writes a share that is there as nothing', () => {
    expect([0, 0.00001, 0.005, 0.25].map(formatShare)).toEqual(['0 %', '< 0.01 %', '0.50 %', '25.0 %']);
  });

  it('tells how long ago something was', () => {
    expect([0, 30, 90, 7200].map((seconds) => formatAgo(1_000_000 - seconds * 1000, 1_000_000))).toEqual([
      'just now',
      '30 s ago',
      '1 min ago',
      '2 h ago',
    ]);
  });
});
