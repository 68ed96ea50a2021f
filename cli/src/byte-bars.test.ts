import { expect, it } from 'vitest';
import { byteBars } from './byte-bars.ts';
import { createProgress } from './progress.ts';

const mebibyte = 1024 * 1024;

it('draws a bar in MiB for each phase, and none for what is short', () => {
  const lines: string[] = [];
  const onProgress = byteBars(createProgress({ write: (text: string) => lines.push(text) }));
  onProgress({ phase: 'hash', doneBytes: mebibyte, totalBytes: mebibyte });
  onProgress({ phase: 'unpack', doneBytes: 50.5 * mebibyte, totalBytes: 100 * mebibyte });
  onProgress({ phase: 'write', doneBytes: 60 * mebibyte, totalBytes: 120 * mebibyte });
  onProgress({ phase: 'write', doneBytes: 120 * mebibyte, totalBytes: 120 * mebibyte });
  expect(lines).toEqual(['unpack 50/100 MiB\n', 'write 60/120 MiB\n', 'write 120/120 MiB\n']);
});
