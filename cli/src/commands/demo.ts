import { availableParallelism } from 'node:os';
import process from 'node:process';
import { type Command, Option } from 'commander';
import type { CommandModule } from '../command.ts';
import { cacheWords, modelWords, pathOfModel } from '../model-options.ts';
import { wholeNumber } from '../option-values.ts';

interface DemoFlags {
  readonly model?: string;
  readonly out: string;
  readonly keep?: string;
  readonly cache?: string;
  readonly rounds?: number;
  readonly threads: number;
  readonly json?: true;
}

export const command: CommandModule = {
  examples: ['weft demo', 'weft demo --model SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2-adapter --json'],
  configure: (command: Command): void => {
    command
      .option('--model <path>', `${modelWords} (default: the bundled base model)`)
      .option('--out <dir>', 'where the federated adapter is written, in the layout of PEFT', 'weft-demo-adapter')
      .option('--keep <dir>', 'keep the homes of coordinator and nodes, and the data, in this folder')
      .option('--cache <dir>', cacheWords)
      .option('--rounds <n>', 'rounds (default: what fits the machine)', wholeNumber(1, 1000))
      .addOption(
        new Option('--threads <n>', 'cores to share among the nodes')
          .argParser(wholeNumber(1, 1024))
          .default(availableParallelism(), 'all cores'),
      )
      .option('--json', 'the closing report as one JSON object on standard output')
      .action((_options: unknown, command: Command) => demo(command.opts<DemoFlags>()));
  },
};

async function demo(flags: DemoFlags): Promise<void> {
  const [
    { runDemo },
    { formatReport },
    { bundledModelFolder },
    { bundledModelRecipe, givenModelRecipe },
    { createProgress },
    { onInterrupt },
  ] = await Promise.all([
    import('../demo/run-demo.ts'),
    import('../demo/report.ts'),
    import('../demo/bundled-model.ts'),
    import('../demo/recipe.ts'),
    import('../progress.ts'),
    import('../interrupt.ts'),
  ]);
  const { model, rounds } = flags;
  const recipe = model === undefined ? bundledModelRecipe : givenModelRecipe;
  const progress = createProgress();
  try {
    const report = await runDemo({
      modelPath: model === undefined ? bundledModelFolder : await pathOfModel(model, flags.cache),
      recipe: rounds === undefined ? recipe : { ...recipe, rounds, fewestRounds: rounds },
      out: flags.out,
      keep: flags.keep,
      cacheDir: flags.cache,
      threads: flags.threads,
      progress,
      signal: onInterrupt('stopping coordinator and nodes'),
    });
    progress.close();
    process.stdout.write(
      flags.json === true ? `${JSON.stringify(report)}\n` : `\n${formatReport(report, process.stdout.isTTY)}\n`,
    );
  } finally {
    progress.close();
  }
}
