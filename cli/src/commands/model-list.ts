import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { cacheWords } from '../model-options.ts';
import { formatTable } from '../table.ts';

interface ModelListOptions {
  readonly cache?: string;
  readonly json?: true;
}

const run = async ({ cache, json }: ModelListOptions): Promise<void> => {
  const { defaultCacheDir, listPulled } = await import('@weft/trainer');
  const cacheDir = cache ?? defaultCacheDir();
  const models = await listPulled(cacheDir);
  if (json) {
    process.stdout.write(`${JSON.stringify(models)}\n`);
    return;
  }
  const rows = models.map(({ repository, file, revisions, commit, sizeBytes, sha256 }) => [
    `hf:${repository}`,
    revisions.join(',') || null,
    commit.slice(0, 12),
    file,
    `${(sizeBytes / 1e6).toFixed(1)} MB`,
    sha256,
  ]);
  if (rows.length > 0)
    process.stdout.write(formatTable(['model', 'revision', 'commit', 'file', 'size', 'sha256'], rows));
  else process.stderr.write(`no model was pulled into ${cacheDir}; begin with \`weft model pull hf:ORG/NAME\`\n`);
};

export const command: CommandModule = {
  examples: ['weft model list', 'weft model list --json'],
  configure: (command: Command): void => {
    command
      .option('--cache <dir>', cacheWords)
      .option('--json', 'one JSON array on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<ModelListOptions>()));
  },
};
