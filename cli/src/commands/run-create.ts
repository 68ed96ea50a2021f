import { readFile } from 'node:fs/promises';
import process from 'node:process';
import type { Command } from 'commander';
import { WeftError, runViewSchema } from '@weft/shared';
import { parse } from 'yaml';
import { z } from 'zod';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';
import { pathOfModel } from '../model-options.ts';

interface CreateOptions extends HomeOption {
  readonly model?: string;
  readonly json?: true;
}

const modelView = z.object({ name: z.string(), sha256: z.string() });

/** @throws WEFT_SPEC_INVALID */
const readSpec = async (file: string): Promise<unknown> => {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new WeftError('WEFT_SPEC_INVALID', `${file} cannot be read: ${cause.code ?? 'unknown'}`, {}, { cause });
  });
  try {
    // JSON is YAML
    return parse(text);
  } catch (cause) {
    throw new WeftError(
      'WEFT_SPEC_INVALID',
      `${file} is neither YAML nor JSON: ${(cause as Error).message}`,
      {},
      { cause },
    );
  }
};

/** A spec that does not name its base model means the one of `--model`; one that does is taken as it stands. */
const withModel = (spec: unknown, model: z.infer<typeof modelView>): unknown =>
  typeof spec === 'object' && spec !== null && !('baseModel' in spec)
    ? { ...spec, baseModel: { name: model.name, sha256: model.sha256 } }
    : spec;

const run = async (file: string, options: CreateOptions): Promise<void> => {
  const spec = await readSpec(file);
  const client = await openAdminClient(options);
  const model =
    options.model === undefined
      ? undefined
      : await client.post('/api/models', modelView, { path: await pathOfModel(options.model, undefined) });
  const view = await client.post('/api/runs', runViewSchema, model === undefined ? spec : withModel(spec, model));
  process.stdout.write(options.json ? `${JSON.stringify(view)}\n` : `${view.id}\n`);
  if (!options.json)
    process.stderr.write(`${view.name}: ${view.rounds} rounds; begin with \`weft run start ${view.id}\`\n`);
};

export const command: CommandModule = {
  examples: [
    'weft run create run.yaml --model models/weft-tiny-llama',
    'weft run create run.json --home /srv/weft --json',
  ],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument('<spec>', 'a run spec in YAML or JSON')
      .option(
        '--model <path>',
        "the base model on the coordinator's machine (a path, or hf:ORG/NAME once it is pulled), when no run has used it yet; nodes fetch it from there",
      )
      .option('--json', 'the run on standard output')
      .action((file: string, _options: unknown, command: Command) => run(file, command.opts<CreateOptions>()));
  },
};
