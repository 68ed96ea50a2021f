import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { baseOption, type HeldModelOptions, openHeldModel } from '../held-model.ts';
import { addModelOptions, anyBaseOption } from '../model-options.ts';
import { wholeNumber } from '../option-values.ts';
import { tokenReport } from '../token-report.ts';

interface EvalOptions extends HeldModelOptions {
  readonly data: readonly string[];
  readonly adapter?: string;
  readonly anyBase?: true;
  readonly batch: number;
  readonly seq: number;
  readonly json?: true;
}

const run = async (options: EvalOptions): Promise<void> => {
  const { openAdapter } = await import('../open-adapter.ts');
  const { settleDevice } = await import('../settle-device.ts');
  const { encodeRecords, evaluate, readRecords } = await import('@weft/trainer');
  const signal = onInterrupt('stopping');
  const model = await openHeldModel(options, signal);
  const device = await settleDevice(model, options);
  const adapter = options.adapter === undefined ? undefined : await openAdapter(options.adapter, model, options);
  const records = await readRecords([...options.data]);
  const { examples, report } = encodeRecords(records, model.tokenizer, {
    sequenceLength: options.seq,
    vocabSize: model.config.vocabSize,
    shortText: 'keep',
  });
  process.stderr.write(`${tokenReport(report, options.seq)}\n`);
  const { lossSum, tokens } = await evaluate({
    model,
    ...adapter,
    examples,
    batchSize: options.batch,
    threads: options.threads,
    device,
    signal,
  });
  const loss = lossSum / tokens;
  const perplexity = Math.exp(loss);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ loss, perplexity, tokens })}\n`
      : `loss        ${loss.toFixed(4)} nats a token\nperplexity  ${perplexity.toFixed(2)}\ntokens      ${tokens}\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft eval --model models/weft-tiny-llama --data held-out.txt',
    'weft eval --model models/weft-tiny-llama --adapter adapter --data held-out.jsonl --json',
  ],
  configure: (command: Command): void => {
    addModelOptions(command)
      .option('--adapter <dir>', 'an adapter in the layout of PEFT')
      .addOption(baseOption())
      .option(...anyBaseOption)
      .requiredOption(
        '--data <file...>',
        '.txt, .md, .jsonl, .csv or .parquet (text, prompt and completion, messages, input_ids)',
      )
      .option('--batch <n>', 'examples at a time', wholeNumber(1, 65536), 4)
      .option('--seq <n>', 'longest example in tokens', wholeNumber(2, 1_048_576), 128)
      .option('--json', '{"loss","perplexity","tokens"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<EvalOptions>()));
  },
};
