import type { Command } from 'commander';
import { log, modelSigning, toFederationId } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { openLog } from '../log-source.ts';
import { hashModelFiles, readModelBundle, signaturePath } from '../model-files.ts';
import { reportFindings } from '../report-findings.ts';
import { publicKeyOf } from '../organisation-key.ts';

interface ModelVerifyOptions {
  readonly key?: string;
  readonly log?: string;
  readonly signature?: string;
  readonly json?: true;
}

async function* findings(path: string, options: ModelVerifyOptions): AsyncGenerator<log.Finding> {
  const bundle = await readModelBundle(options.signature ?? (await signaturePath(path)));
  const publicKey = options.key === undefined ? undefined : publicKeyOf(options.key);
  yield* modelSigning.verifyModel({ bundle, files: await hashModelFiles(path), publicKey });
  if (options.log !== undefined) yield* inLog(options.log, bundle.statement, publicKey);
}

/** The log as it is served now: it continues the one that the statement names, and has this adapter. */
async function* inLog(
  place: string,
  { evidence }: modelSigning.ModelBundle['statement'],
  publicKey: Uint8Array | undefined,
): AsyncGenerator<log.Finding> {
  const { run } = evidence ?? {};
  const key = publicKey ?? (evidence && Buffer.from(evidence.publicKey, 'hex'));
  if (run === undefined || key === undefined) {
    yield { verdict: 'not checked', claim: `the log at ${place}: the statement names no run` };
    return;
  }
  yield* log.verifyLog({
    read: await openLog(place),
    key: log.verifierKey(log.logOrigin(toFederationId(key)), key),
    since: run.result && Buffer.from(log.formatNote(log.parseProof(Buffer.from(run.result.proof)).note)),
    runId: run.runId,
    adapterSha256: run.adapterSha256,
  });
}

const run = (path: string, options: ModelVerifyOptions): Promise<void> =>
  reportFindings(findings(path, options), 'WEFT_STATEMENT_REFUTED', options.json === undefined ? {} : { json: true });

export const command: CommandModule = {
  examples: ['weft model verify adapter --log http://127.0.0.1:7480', 'weft model verify model.gguf --key 21fe31df…'],
  configure: (command: Command): void => {
    command
      .argument('<path>', 'a folder with its model.sig, or a file with FILE.sig beside it')
      .option('--key <key>', "the signer's public key, from somewhere else: 64 hex digits, or a federation's vkey")
      .option('--log <log>', 'the log of the federation that signed: its address, or a copy of it')
      .option('--signature <file>', 'where the signature lies instead')
      .option('--json', 'one JSON line a claim: {"verdict","claim","entry","party","runId"}')
      .addHelpText('after', '\nEnds with 0 when nothing failed, with 3 when a claim does not hold.')
      .action((path: string, _options: unknown, command: Command) => run(path, command.opts<ModelVerifyOptions>()));
  },
};
