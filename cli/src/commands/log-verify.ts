import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isSha256, log, sha256File } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { logArgument, logSource } from '../log-source.ts';
import { reportFindings } from '../report-findings.ts';

interface LogVerifyOptions {
  readonly key?: string;
  readonly run?: string;
  readonly adapter?: string;
  readonly since?: string;
  readonly cosigner: readonly string[];
  readonly json?: true;
}

/** A hash, or the hash of what lies there. */
async function adapterHash(adapter: string): Promise<string> {
  if (isSha256(adapter)) return adapter;
  const isFolder = (await stat(adapter)).isDirectory();
  return sha256File(isFolder ? join(adapter, 'adapter_model.safetensors') : adapter);
}

const run = async (place: string, options: LogVerifyOptions): Promise<void> => {
  const { key, adapter, since, cosigner, json } = options;
  const findings = log.verifyLog({
    read: logSource(place),
    key: key === undefined ? undefined : log.parseVerifierKey(key),
    cosigners: cosigner.map(log.parseVerifierKey),
    since: since === undefined ? undefined : await readFile(since),
    runId: options.run,
    adapterSha256: adapter === undefined ? undefined : await adapterHash(adapter),
  });
  await reportFindings(findings, 'WEFT_LOG_REFUTED', json === undefined ? {} : { json });
};

export const command: CommandModule = {
  examples: [
    'weft log verify http://127.0.0.1:7480 --adapter adapter',
    'weft log verify ~/.weft/coordinator/log --key "$(cat vkey)" --json',
  ],
  configure: (command: Command): void => {
    const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
    command
      .argument(...logArgument)
      .option('--key <vkey>', 'the federation’s key, from somewhere else than the log (its vkey, name+hash+key)')
      .option('--run <id>', 'the lines of this run only')
      .option('--adapter <path>', 'an adapter, or its SHA-256: it must be the result of a round')
      .option('--since <file>', 'a checkpoint that you saw before: it must be the start of this log')
      .option('--cosigner <vkey>', 'the key of an organisation that cosigns; may be given again', collect, [])
      .option('--json', 'one JSON line a claim: {"verdict","claim","entry","party","runId"}')
      .addHelpText('after', '\nEnds with 0 when nothing failed, with 3 when a claim does not hold.')
      .action((place: string, _options: unknown, command: Command) => run(place, command.opts<LogVerifyOptions>()));
  },
};
