import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { openModel } from '@weft/trainer';
import { z } from 'zod';
import type { BenchCase } from './cases.ts';
import { Subject } from './subject.ts';
import { aligned } from './table.ts';
import { writeRows } from './train-bench.ts';

const steps = 4;
/** One event of ONNX Runtime's profile; durations are microseconds. */
const event = z.object({
  cat: z.string().optional(),
  name: z.string().optional(),
  dur: z.number().default(0),
  args: z.object({ op_name: z.string().optional() }).default({}),
});
type Event = z.infer<typeof event>;

/** Where the last of a few steps goes, operator by operator. */
export async function profileStep(work: BenchCase, gguf: string, threads: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-profile-'));
  try {
    const cacheDir = join(folder, 'cache');
    const { config } = await openModel(gguf, { cacheDir });
    const prefix = join(folder, 'profile');
    const program = fileURLToPath(new URL('weft-subject.ts', import.meta.url));
    const rows = writeRows(folder, work, config.vocabSize);
    const subject = new Subject('weft', process.execPath, [
      program,
      gguf,
      cacheDir,
      rows,
      work.name,
      String(threads),
      'fp32',
      prefix,
    ]);
    try {
      await subject.ready();
      await subject.run(steps);
    } finally {
      await subject.end();
    }
    const events = readdirSync(folder)
      .filter((name) => name.startsWith('profile'))
      .flatMap((name) => z.array(event).parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))));
    return `${work.name}\n${operatorTable(events)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Nodes come in the order of time; each step has as many. */
export function operatorTable(events: readonly Event[]): string {
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name?.endsWith('_kernel_time'));
  const last = nodes.slice(-Math.floor(nodes.length / steps));
  const byOperator = Map.groupBy(last, ({ args }) => args.op_name ?? '');
  const total = last.reduce((sum, { dur }) => sum + dur, 0);
  const rows = [...byOperator]
    .map(([name, group]) => ({ name, count: group.length, time: group.reduce((sum, { dur }) => sum + dur, 0) }))
    .toSorted((a, b) => b.time - a.time)
    .map(({ name, count, time }) => [
      name,
      String(count),
      (time / 1000).toFixed(1),
      `${((100 * time) / total).toFixed(1)} %`,
    ]);
  return aligned([['operator', 'nodes', 'ms', 'share'], ...rows]);
}
