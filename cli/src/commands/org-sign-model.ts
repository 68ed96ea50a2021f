import process from 'node:process';
import type { Command } from 'commander';
import { isSha256, signModel } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { pathOfModel } from '../model-options.ts';
import { readOrganisation } from '../organisation-key.ts';

interface OrgSignModelOptions {
  readonly key: string;
  readonly json?: true;
}

const hashOf = async (model: string): Promise<string> => {
  if (isSha256(model)) return model;
  const { hashModel } = await import('@weft/trainer');
  return hashModel(await pathOfModel(model, undefined), { signal: onInterrupt('stopping') });
};

const run = async (model: string, { key, json }: OrgSignModelOptions): Promise<void> => {
  const identity = await readOrganisation(key);
  const sha256 = await hashOf(model);
  if (!isSha256(sha256)) throw new TypeError('a model has a hash of another form');
  const statement = signModel(identity, sha256);
  process.stdout.write(json ? `${JSON.stringify({ sha256, statement })}\n` : `${statement}\n`);
  if (!json) process.stderr.write(`signed that ${sha256} is a base model of yours\n`);
};

export const command: CommandModule = {
  examples: [
    'weft org sign-model --key org.key models/weft-tiny-llama > weft-tiny-llama.statement',
    'weft org sign-model --key org.key 21fe31df… --json',
  ],
  configure: (command: Command): void => {
    command
      .argument('<model>', 'a model folder, a .gguf, hf:ORG/NAME once it is pulled, or a hash of `weft model show`')
      .requiredOption('--key <file>', "the publisher's secret key, of `weft org create`")
      .option('--json', '{"sha256","statement"} on standard output')
      .addHelpText(
        'after',
        '\nNodes whose policy lists your key in publishers take it with `weft node policy trust-model`.',
      )
      .action((model: string, _options: unknown, command: Command) => run(model, command.opts<OrgSignModelOptions>()));
  },
};
