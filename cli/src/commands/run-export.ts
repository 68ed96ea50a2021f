import { mkdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { WeftError, exportViewSchema, sha256 } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption } from '../coordinator-home.ts';
import { findRun, runArgument, type RunOptions } from '../run-order.ts';

interface ExportOptions extends RunOptions {
  readonly out: string;
}

const run = async (word: string, options: ExportOptions): Promise<void> => {
  const { writeFileAtomically } = await import('@weft/trainer');
  const client = await openAdminClient(options);
  const { id } = await findRun(client, word);
  const view = await client.get(`/api/runs/${id}/adapter`, exportViewSchema);
  const path = resolve(options.out);
  await mkdir(path, { recursive: true });
  for (const { name, base64 } of view.files) {
    const bytes = Buffer.from(base64, 'base64');
    if (name !== basename(name))
      throw new WeftError('WEFT_INTERNAL', `the export names a file ${JSON.stringify(name)}`);
    if (name.endsWith('.safetensors') && sha256(bytes) !== view.adapterSha256) {
      throw new WeftError(
        'WEFT_TRANSFER_HASH',
        `${name} arrived with hash ${sha256(bytes)}, the run's adapter has ${view.adapterSha256}`,
      );
    }
    await writeFileAtomically(join(path, name), (file) => file.writeFile(bytes));
  }
  const { runId, adapterSha256 } = view;
  process.stdout.write(options.json ? `${JSON.stringify({ runId, path, adapterSha256 })}\n` : `${path}\n`);
  if (!options.json) process.stderr.write(`SHA-256 of adapter_model.safetensors: ${adapterSha256}\n`);
};

export const command: CommandModule = {
  examples: ['weft run export languages --out adapter', 'weft run export r_1f00 --out adapter --json'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument(...runArgument)
      .requiredOption('--out <dir>', 'where the adapter is written, in the layout of PEFT')
      .option('--json', '{"runId","path","adapterSha256"} on standard output')
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<ExportOptions>()));
  },
};
