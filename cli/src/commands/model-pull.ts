import process from 'node:process';
import type { Command } from 'commander';
import type { PullEvent } from '@weft/trainer';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { cacheWords } from '../model-options.ts';
import { type Bar, createProgress, type Progress } from '../progress.ts';

interface ModelPullOptions {
  readonly file?: string;
  readonly cache?: string;
  readonly json?: true;
}

/** Megabytes to a tenth, as a download is counted. */
const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10;

const createView = (progress: Progress, name: string): ((event: PullEvent) => void) => {
  let bar: Bar | undefined;
  return (event) => {
    if (event.event === 'resolved') progress.log(`${name} is commit ${event.commit}`);
    else if (event.event === 'checking') progress.log('it is in the cache; hashing its files');
    else {
      bar ??= progress.bar('pull', megabytes(event.totalBytes));
      const note = `MB  ${event.file}`;
      if (event.doneBytes < event.totalBytes) bar.update(megabytes(event.doneBytes), note);
      else bar.finish(note);
    }
  };
};

const run = async (word: string, { file, cache, json }: ModelPullOptions): Promise<void> => {
  const { defaultCacheDir, formatReference, hubAccess, parseReference, pullModel } = await import('@weft/trainer');
  const reference = parseReference(word, file);
  const access = await hubAccess();
  const signal = onInterrupt('stopping; the same command goes on from here');
  const progress = json ? undefined : createProgress();
  try {
    const pull = await pullModel(reference, {
      access,
      cacheDir: cache ?? defaultCacheDir(),
      signal,
      ...(progress && {
        onEvent: createView(progress, formatReference(reference)),
        onRetry: (failure: Error, waitMs: number) =>
          progress.log(`${failure.message}; trying again in ${(waitMs / 1000).toFixed(1)} s`),
      }),
    });
    progress?.close();
    const baseModel = { name: pull.repository, sha256: pull.sha256 };
    if (json) {
      process.stdout.write(`${JSON.stringify({ ...pull, baseModel })}\n`);
      return;
    }
    const lines = {
      model: formatReference(reference),
      commit: pull.commit,
      path: pull.path,
      size: `${megabytes(pull.sizeBytes)} MB, ${megabytes(pull.fetchedBytes)} MB of it fetched`,
      sha256: pull.sha256,
    };
    const text = Object.entries(lines).map(([key, value]) => `${key.padEnd(8)}${value}\n`);
    process.stdout.write(
      `${text.join('')}\nin a run spec:\nbaseModel:\n  name: ${baseModel.name}\n  sha256: ${baseModel.sha256}\n`,
    );
  } finally {
    progress?.close();
  }
};

export const command: CommandModule = {
  examples: [
    'weft model pull hf:HuggingFaceTB/SmolLM2-135M-Instruct',
    'weft model pull hf:ORG/NAME-GGUF@v1.0 --file NAME.Q4_K_M.gguf --json',
  ],
  configure: (command: Command): void => {
    command
      .argument('<model>', 'hf:ORG/NAME, with @REVISION for a branch, a tag or a commit (default: main)')
      .option('--file <name.gguf>', 'this GGUF file of the repository, instead of its safetensors')
      .option('--cache <dir>', cacheWords)
      .option('--json', 'one JSON object on standard output')
      .addHelpText(
        'after',
        '\nHF_TOKEN, or the token file of `hf auth login`, opens private and gated models; HF_ENDPOINT names a mirror.',
      )
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<ModelPullOptions>()));
  },
};
