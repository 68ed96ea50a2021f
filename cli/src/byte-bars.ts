import type { OnProgress } from '@weft/trainer';
import type { Bar, Progress } from './progress.ts';

const mebibyte = 1024 * 1024;
/** What takes less than this many bytes is over before a bar could be read. */
const leastBytes = 32 * mebibyte;

/** A bar in MiB for each phase that is long enough to be watched. */
export function byteBars(progress: Progress): OnProgress {
  const bars = new Map<string, Bar>();
  return ({ phase, doneBytes, totalBytes }) => {
    if (totalBytes < leastBytes) return;
    const bar = bars.get(phase) ?? progress.bar(phase, Math.ceil(totalBytes / mebibyte));
    bars.set(phase, bar);
    if (doneBytes >= totalBytes) bar.finish();
    else bar.update(Math.floor(doneBytes / mebibyte), 'MiB');
  };
}
