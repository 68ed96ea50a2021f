import { Option, type Command } from 'commander';
import type { Decoder, Ending, LoadedAdapter, Model } from '@weft/trainer';
import { addModelOptions, anyBaseOption, type ModelOptions } from './model-options.ts';
import { nonNegative, probability, wholeNumber } from './option-values.ts';

const bases = ['auto', 'fp32', 'int8', 'int4'] as const;

/** What commands that make text take. */
export interface GenerationOptions extends ModelOptions {
  readonly adapter?: string;
  readonly base: (typeof bases)[number];
  readonly anyBase?: true;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly stop: readonly string[];
}

export const addGenerationOptions = (command: Command): Command =>
  addModelOptions(command)
    .option('--adapter <dir>', 'an adapter in the layout of PEFT')
    .option(...anyBaseOption)
    .addOption(
      new Option(
        '--base <type>',
        'how base weights are kept: as their file has them, in float32, in blocks of integers',
      )
        .choices(bases)
        .default('auto'),
    )
    .option('--max-tokens <n>', 'tokens to make at most', wholeNumber(1), 256)
    .option('--temperature <t>', '0 takes the likeliest token, 1 draws as the model would', nonNegative(), 0)
    .option('--top-p <p>', 'draw among the likeliest tokens that together have this probability', probability, 1)
    .option('--seed <n>', 'the same seed draws the same tokens', wholeNumber(0), 0)
    .option('--stop <text...>', 'end before this text', []);

/** The model and the adapter that the options name, ready to continue prompts. */
export const openDecoder = async (
  options: GenerationOptions,
  signal: AbortSignal,
): Promise<{ model: Model; decoder: Decoder }> => {
  const { openAdapter } = await import('./open-adapter.ts');
  const { Decoder, openModel } = await import('@weft/trainer');
  // blocks of integers are for the CPU
  const base = options.base === 'auto' && !['auto', 'cpu'].includes(options.device) ? 'fp32' : options.base;
  const model = await openModel(options.model, { cacheDir: options.cache, base, signal });
  const adapter: LoadedAdapter | undefined =
    options.adapter === undefined ? undefined : await openAdapter(options.adapter, model, options);
  const decoder = await Decoder.open({ model, ...adapter, threads: options.threads, device: options.device });
  return { model, decoder };
};

export interface Continuation {
  readonly text: string;
  readonly promptTokens: number;
  readonly tokens: number;
  readonly ending: Ending | 'stop';
  /** Of the tokens after the first, whose time is the prompt's; null where there was no second. */
  readonly tokensPerSecond: number | null;
  /** How the base's weights were kept: `4- and 8-bit blocks`, or the types in its file. */
  readonly weights: string;
}

const weightsOf = ({ blocks, tensors }: Pick<Model, 'blocks' | 'tensors'>): string => {
  const bits = [...new Set([...(blocks?.values() ?? [])].map(({ form }) => form.bits))].toSorted((a, b) => a - b);
  if (bits.length > 0) return `${bits.join('- and ')}-bit blocks`;
  return [...new Set([...tensors.values()].map(({ dtype }) => dtype))].join(' and ');
};

/** `108 tokens (61.3 a second) after 12 of prompt; weights in 4- and 8-bit blocks` */
export const summaryOf = ({ tokens, tokensPerSecond, promptTokens, weights }: Continuation): string => {
  const rate = tokensPerSecond === null ? '' : ` (${tokensPerSecond.toFixed(1)} a second)`;
  return `${tokens} ${tokens === 1 ? 'token' : 'tokens'}${rate} after ${promptTokens} of prompt; weights in ${weights}`;
};

/** Continues a prompt, and hands each piece of text on as soon as it is certain. */
export const continueText = async (
  { model, decoder }: { readonly model: Model; readonly decoder: Decoder },
  promptIds: readonly number[],
  options: GenerationOptions,
  signal: AbortSignal,
  onText: (piece: string) => void,
): Promise<Continuation> => {
  const { continuePrompt, TextStream } = await import('@weft/trainer');
  const { endTokenIds: endIds } = model.tokenizer;
  const { maxTokens, temperature, topP, seed } = options;
  const stream = new TextStream(model.tokenizer, promptIds, options.stop);
  const ids = continuePrompt(decoder, { promptIds, maxTokens, temperature, topP, seed, endIds, signal });
  let text = '';
  let tokens = 0;
  let firstAtMs = 0;
  let lastAtMs = 0;
  let ending: Continuation['ending'] = 'length';
  const give = (piece: string): void => {
    text += piece;
    if (piece !== '') onText(piece);
  };
  for (;;) {
    const next = await ids.next();
    if (next.done) {
      ending = next.value;
      give(stream.end());
      break;
    }
    tokens++;
    lastAtMs = performance.now();
    if (tokens === 1) firstAtMs = lastAtMs;
    give(stream.push(next.value));
    if (stream.stopped) {
      ending = 'stop';
      break;
    }
  }
  const tokensPerSecond = tokens < 2 ? null : (1000 * (tokens - 1)) / (lastAtMs - firstAtMs);
  return { text, promptTokens: promptIds.length, tokens, ending, tokensPerSecond, weights: weightsOf(model) };
};
