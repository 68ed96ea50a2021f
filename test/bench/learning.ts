import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { openModel } from '@weft/trainer';
import { learningCase, learningSteps } from './cases.ts';
import { Subject } from './subject.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const lastSteps = 20;

/** Mean loss of the last steps of a short fine-tuning on this repository's own pages, the base held in each type. */
export type LearningLosses = Readonly<Record<'fp32' | 'int8', number>>;

export interface LearningOptions {
  readonly gguf: string;
  readonly cacheDir: string;
  readonly folder: string;
  readonly threads: number;
  readonly report: (line: string) => void;
}

export async function measureLearning({
  gguf,
  cacheDir,
  folder,
  threads,
  report,
}: LearningOptions): Promise<LearningLosses> {
  const rows = await writeText(gguf, cacheDir, folder);
  const lossOf = async (base: 'fp32' | 'int8'): Promise<number> => {
    const args = [gguf, cacheDir, rows, learningCase.name, String(threads), base];
    const subject = new Subject(`weft ${base}`, process.execPath, [
      fileURLToPath(new URL('weft-subject.ts', import.meta.url)),
      ...args,
    ]);
    try {
      await subject.ready();
      const { values } = await subject.run(learningSteps);
      const loss = values.slice(-lastSteps).reduce((a, b) => a + b) / lastSteps;
      report(`${base}: loss ${loss.toFixed(4)} over the last ${lastSteps} of ${learningSteps} steps on text`);
      return loss;
    } finally {
      await subject.end();
    }
  };
  return { fp32: await lossOf('fp32'), int8: await lossOf('int8') };
}

/** Rows of as many tokens as fit; a step takes the next one, and the first again after the last. */
async function writeText(gguf: string, cacheDir: string, folder: string): Promise<string> {
  const { tokenizer } = await openModel(gguf, { cacheDir });
  const pages = readdirSync(join(repository, 'docs')).filter((name) => name.endsWith('.md'));
  const text = pages.toSorted().map((name) => readFileSync(join(repository, 'docs', name), 'utf8'));
  const ids = tokenizer.encode(text.join('\n\n'));
  const { sequenceLength } = learningCase;
  const lines: string[] = [];
  for (let start = 0; start + sequenceLength <= ids.length; start += sequenceLength)
    lines.push(`${JSON.stringify({ input_ids: ids.slice(start, start + sequenceLength) })}\n`);
  const file = join(folder, 'text.jsonl');
  writeFileSync(file, lines.join(''));
  return file;
}
