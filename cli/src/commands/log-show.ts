import process from 'node:process';
import type { Command } from 'commander';
import { log, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { logArgument, openLog } from '../log-source.ts';
import { formatTime } from '../table.ts';

interface LogShowOptions {
  readonly run?: string;
  readonly json?: true;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Which integers are the bits of a number. */
const floats = ['gateIncrease', 'lossSumBefore', 'lossSumAfter'];

/** Numbers as they are, hashes in hex. */
function plain(leaf: log.Leaf): Record<string, string | number> {
  const { name, version: _version, type: _type, ...body } = leaf;
  const values = Object.entries(body).map(([key, value]): [string, string | number] => {
    if (key === 'runId') return [key, `r_${hex(value as Uint8Array)}`];
    if (key === 'code')
      return [
        key,
        Buffer.from(value as Uint8Array)
          .toString('latin1')
          .replace(/[^\w .-]/g, '?'),
      ];
    if (floats.includes(key)) return [key, log.floatOfBits(value as bigint)];
    return [key, value instanceof Uint8Array ? hex(value) : Number(value)];
  });
  return { name, ...Object.fromEntries(values) };
}

const text = (entry: number, leaf: Record<string, string | number>): string => {
  const { name, at, ...numbers } = leaf;
  const { round } = numbers;
  // from 1, as in all words; --json has it as it lies there
  const rest = typeof round === 'number' ? { ...numbers, round: round + 1 } : numbers;
  const facts = Object.entries(rest).map(([key, value]) => `    ${key.padEnd(16)}${value}\n`);
  return `${entry}  ${formatTime(Number(at)) ?? ''}  ${name}\n${facts.join('')}`;
};

const run = async (place: string, { run: runId, json }: LogShowOptions): Promise<void> => {
  const read = await openLog(place);
  const { size } = log.parseCheckpoint(log.parseNote((await read('checkpoint'))!).text);
  for (let index = 0; index * log.tileWidth < size; index++) {
    const width = Math.min(log.tileWidth, size - index * log.tileWidth);
    const path = log.bundlePath({ index, width });
    const bundle = (await read(path)) ?? (await read(log.bundlePath({ index, width: log.tileWidth })));
    if (bundle === undefined) throw new WeftError('WEFT_LOG_NOT_FOUND', `${path} is missing`);
    for (const [place, bytes] of log.decodeBundle(bundle, width).entries()) {
      const leaf = plain(log.decodeLeaf(bytes));
      const entry = index * log.tileWidth + place;
      if (runId !== undefined && leaf['runId'] !== runId) continue;
      process.stdout.write(json ? `${JSON.stringify({ entry, ...leaf })}\n` : text(entry, leaf));
    }
  }
  process.stderr.write('Shown as it lies there; `weft log verify` says whether it holds.\n');
};

export const command: CommandModule = {
  examples: ['weft log show ~/.weft/coordinator/log', 'weft log show http://127.0.0.1:7480 --json'],
  configure: (command: Command): void => {
    command
      .argument(...logArgument)
      .option('--run <id>', 'the leaves of this run only')
      .option('--json', 'one JSON line a leaf')
      .action((place: string, _options: unknown, command: Command) => run(place, command.opts<LogShowOptions>()));
  },
};
