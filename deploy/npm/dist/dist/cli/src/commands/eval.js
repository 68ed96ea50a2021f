import process from 'node:process';
                                         
                                                   
import { onInterrupt } from '../interrupt.js';
import { addModelOptions,                   } from '../model-options.js';
import { wholeNumber } from '../option-values.js';
import { tokenReport } from '../token-report.js';

                                            
                                   
                            
                         
                       
                       
 

const run = async (options             )                => {
  const { encodeRecords, evaluate, loadAdapter, openModel, readRecords } = await import('../../../trainer/src/index.js');
  const signal = onInterrupt('stopping');
  const model = await openModel(options.model, {
    ...(options.cache === undefined ? {} : { cacheDir: options.cache }),
    signal,
  });
  const adapter = options.adapter === undefined ? undefined : await loadAdapter(options.adapter, model);
  const records = await readRecords([...options.data]);
  const { examples, report } = encodeRecords(records, model.tokenizer, { sequenceLength: options.seq });
  process.stderr.write(`${tokenReport(report, options.seq)}\n`);
  const { lossSum, tokens } = await evaluate({
    model,
    ...(adapter === undefined ? {} : { layout: adapter.layout, adapter: adapter.values }),
    examples,
    batchSize: options.batch,
    threads: options.threads,
    device: options.device,
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

export const command                = {
  examples: [
    'weft eval --model models/base --data held-out.txt',
    'weft eval --model models/base --adapter adapter --data held-out.jsonl --json',
  ],
  configure: (command         )       => {
    addModelOptions(command)
      .option('--adapter <dir>', 'an adapter in the layout of PEFT')
      .requiredOption('--data <file...>', '.txt, .md or .jsonl (text, prompt and completion, messages, input_ids)')
      .option('--batch <n>', 'examples at a time', wholeNumber(1, 65536), 4)
      .option('--seq <n>', 'longest example in tokens', wholeNumber(2, 1_048_576), 128)
      .option('--json', '{"loss","perplexity","tokens"} on standard output')
      .action((_options         , command         ) => run(command.opts             ()));
  },
};
