import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isRunId, isSha256, log, sha256File, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { logArgument, openLog, type ReadLog } from '../log-source.ts';
import { cacheWords, modelWords } from '../model-options.ts';
import { reportFindings } from '../report-findings.ts';

interface LogVerifyOptions {
  readonly key?: string;
  readonly run?: string;
  readonly adapter?: string;
  readonly since?: string;
  readonly cosigner?: readonly string[];
  readonly recompute?: true;
  readonly model?: string;
  readonly cache?: string;
  readonly organisation?: readonly string[];
  readonly json?: true;
}

/** A hash, or the hash of what lies there. */
async function adapterHash(adapter: string): Promise<string> {
  if (isSha256(adapter)) return adapter;
  const isFolder = (await stat(adapter)).isDirectory();
  return sha256File(isFolder ? join(adapter, 'adapter_model.safetensors') : adapter);
}

function organisationKey(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new WeftError('WEFT_USAGE', 'the key of an organisation is 64 hex digits, as `weft org create` prints it');
}

/** What public data give again, beyond the leaves. */
async function recomputing(
  read: ReadLog,
  { model: path, cache }: LogVerifyOptions,
): Promise<log.VerifyOptions['recompute']> {
  const { recomputeRun } = await import('@weft/coordinator/audit');
  let model: Parameters<typeof recomputeRun>[1]['model'];
  if (path !== undefined) {
    const { openModel } = await import('@weft/trainer');
    const { sha256, config } = await openModel(path, { cacheDir: cache, signal: onInterrupt('stopping') });
    model = { sha256, dimensions: config };
  }
  return (run) => recomputeRun(run, { read, model, now: Date.now() });
}

const run = async (place: string, options: LogVerifyOptions): Promise<void> => {
  const { key, adapter, since, cosigner = [], organisation = [], recompute, json } = options;
  if (options.model !== undefined && recompute === undefined)
    throw new WeftError('WEFT_FLAG_DISAGREES', '--model is for --recompute: the leaves alone need no model');
  const read = await openLog(place);
  if (options.run !== undefined && !isRunId(options.run))
    throw new WeftError('WEFT_USAGE', `--run ${options.run}: a run is named by its id here, r_ and 32 hex digits`);
  const findings = log.verifyLog({
    read,
    recompute: recompute === undefined ? undefined : await recomputing(read, options),
    key: key === undefined ? undefined : log.parseVerifierKey(key),
    cosigners: cosigner.map(log.parseVerifierKey),
    organisations: organisation.length === 0 ? undefined : organisation.map(organisationKey),
    since: since === undefined ? undefined : await readFile(since),
    runId: options.run,
    adapterSha256: adapter === undefined ? undefined : await adapterHash(adapter),
  });
  await reportFindings(findings, 'WEFT_LOG_REFUTED', json === undefined ? {} : { json });
};

export const command: CommandModule = {
  examples: [
    'weft log verify http://127.0.0.1:7480 --adapter adapter',
    'weft log verify ~/.weft/coordinator/log --recompute --model models/weft-tiny-llama',
    'weft log verify ~/.weft/coordinator/log --key "$(cat vkey)" --json',
  ],
  configure: (command: Command): void => {
    const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
    command
      .argument(...logArgument)
      .option('--key <vkey>', 'the federation’s key, from somewhere else than the log (its vkey, name+hash+key)')
      .option('--run <id>', 'the lines of this run only, r_…')
      .option('--adapter <path>', 'an adapter, or its SHA-256: it must be the result of a round')
      .option('--since <file>', 'a checkpoint that you saw before: it must be the start of this log')
      .option(
        '--organisation <key>',
        'the key of an organisation that you trust: only those count as cosigning; may be given again',
        collect,
      )
      .option('--cosigner <vkey>', 'a key that cosigns, from elsewhere than the log; may be given again', collect)
      .option('--recompute', 'recompute what public data allow: first adapters, and rounds that publish their inputs')
      .option('--model <path>', `the base model of what is recomputed: ${modelWords}`)
      .option('--cache <dir>', cacheWords)
      .option('--json', 'one JSON line a claim: {"verdict","claim","entry","party","runId"}')
      .addHelpText('after', '\nEnds with 0 when nothing failed, with 3 when a claim does not hold.')
      .action((place: string, _options: unknown, command: Command) => run(place, command.opts<LogVerifyOptions>()));
  },
};
