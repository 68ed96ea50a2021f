import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Keeps what a node has trained, as it lies on its disk before any mask: sums are held against it. */
export function keepHeldUpdate(home: string, file: string): void {
  const pending = join(home, 'pending');
  const payload = readdirSync(pending).find((name) => name.endsWith('.payload'))!;
  copyFileSync(join(pending, payload), file);
}
