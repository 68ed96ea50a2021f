import { Option, type Command } from 'commander';
import { loraTargets } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { baseOption } from '../held-model.ts';
import { addModelOptions, anyBaseOption } from '../model-options.ts';
import { nonNegative, shareOrPath, targetList, wholeNumber } from '../option-values.ts';
import type { TrainOptions } from '../train-adapter.ts';

export const command: CommandModule = {
  examples: [
    'weft train --model models/weft-tiny-llama --data notes.txt --validation 0.1 --out adapter --steps 100',
    'weft train --model SmolLM2-135M-Instruct.Q4_1.gguf --data chats.jsonl --out adapter --rank 16 --targets q_proj,k_proj,v_proj,o_proj --json',
  ],
  configure: (command: Command): void => {
    addModelOptions(command)
      .requiredOption(
        '--data <file...>',
        '.txt, .md, .jsonl, .csv or .parquet (text, prompt and completion, messages, input_ids)',
      )
      .requiredOption('--out <dir>', 'where the adapter is written, in the layout of PEFT')
      .option('--rank <n>', 'rank of LoRA (default: 8)', wholeNumber(1, 1024))
      .option('--alpha <n>', "LoRA's alpha (default: 16)", nonNegative({ positive: true }))
      .option('--targets <names>', `layers to adapt, of ${loraTargets.join(',')} (default: q_proj,v_proj)`, targetList)
      .option('--lr <rate>', 'learning rate', nonNegative(), 1e-4)
      .option('--batch <n>', 'examples a step', wholeNumber(1, 65536), 4)
      .option('--seq <n>', 'longest example in tokens', wholeNumber(2, 1_048_576), 128)
      .addOption(new Option('--steps <n>', 'steps to train').argParser(wholeNumber(1)).conflicts('epochs'))
      .option('--epochs <n>', 'passes over the data (default: 1)', wholeNumber(1))
      .option('--weight-decay <x>', "AdamW's weight decay", nonNegative(), 0)
      .option('--warmup <n>', 'steps until the full learning rate', wholeNumber(0), 0)
      .option('--clip-grad <norm>', 'largest L2 norm of the gradient; 0 leaves it as it is', nonNegative(), 1)
      .addOption(
        new Option('--schedule <name>', 'of the learning rate')
          .choices(['constant', 'linear', 'cosine'])
          .default('constant'),
      )
      .option('--seed <n>', 'of the first adapter and the order of the data', wholeNumber(0, 2 ** 32 - 1), 0)
      .option('--init-adapter <dir>', 'go on from this adapter; rank, alpha and targets are its own')
      .option(...anyBaseOption)
      .option('--checkpoint-every <n>', 'steps between checkpoints in --out; Ctrl-C writes one too', wholeNumber(1))
      .option('--resume', 'go on from the checkpoint in --out, with the same model, data and flags')
      .option('--validation <share|file>', 'hold back a share of the data, or take a file, and score it', shareOrPath)
      .option('--validate-every <n>', 'steps between scores (default: a tenth of the steps)', wholeNumber(1))
      .option('--packing', 'let short examples share a row, each in a sequence of its own, instead of padding them')
      .option('--no-shuffle', 'take the data in its order')
      .addOption(
        new Option(
          '--gradient-checkpointing <when>',
          'compute layers again in the backward pass: less memory, more time',
        )
          .choices(['auto', 'on', 'off'])
          .default('auto'),
      )
      .addOption(baseOption())
      .addOption(
        new Option('--precision <type>', 'of products; auto is fp16 on webgpu, bf16 on cuda, else fp32')
          .choices(['fp32', 'fp16', 'bf16', 'auto'])
          .default('fp32'),
      )
      .option('--plot <file.svg>', 'draw the loss curve, of the validation too')
      .option(
        '--json',
        'a JSON line a step on standard output: {"step","loss","tokensPerSecond"}, the first with "data"; {"validation"} where there is one',
      )
      .action(async (_options: unknown, command: Command) =>
        (await import('../train-adapter.ts')).trainAdapter(command.opts<TrainOptions>()),
      );
  },
};
