import { createSeededRandom } from '@weft/shared';
import { badOption } from '../training-loop.ts';
import { Decoder, type DecoderOptions } from './decoder.ts';
import { sample } from './sample.ts';

export interface ContinueOptions {
  readonly promptIds: readonly number[];
  /** How many tokens at most; the model's last position may come first. */
  readonly maxTokens?: number | undefined;
  /** 0, the default, takes the likeliest token. */
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly seed?: number | undefined;
  /** Tokens that end the text, such as the tokenizer's endTokenIds; they are not part of it. */
  readonly endIds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GenerateOptions extends DecoderOptions, ContinueOptions {}

/** Why there are no more tokens: one of `endIds`, or as many as there may be. */
export type Ending = 'end' | 'length';

/** Continues a prompt, one id at a time. */
export async function* generate(options: GenerateOptions): AsyncGenerator<number, Ending, void> {
  checkOptions(options);
  await using decoder = await Decoder.open(options);
  return yield* continuePrompt(decoder, options);
}

/** The same on a decoder that is open, which still knows the prompt's beginning when it was the last one's too. */
export async function* continuePrompt(
  decoder: Decoder,
  options: ContinueOptions,
): AsyncGenerator<number, Ending, void> {
  checkOptions(options);
  const { promptIds, maxTokens = 256, temperature = 0, topP = 1, seed = 0, endIds = [], signal } = options;
  const random = createSeededRandom(`generate/${seed}`);
  const ids = [...promptIds];
  const longest = Math.min(ids.length + maxTokens, decoder.config.maxPositions);
  await decoder.reserve(Math.max(longest, ids.length));
  while (ids.length < longest) {
    signal?.throwIfAborted();
    const id = sample(await decoder.logits(ids), { temperature, topP }, random);
    if (endIds.includes(id)) return 'end';
    ids.push(id);
    yield id;
  }
  return 'length';
}

function checkOptions({ promptIds, maxTokens = 1, temperature = 0, topP = 1 }: ContinueOptions): void {
  if (promptIds.length === 0) throw badOption('prompt', 'empty', 'at least one token');
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1)
    throw badOption('maxTokens', maxTokens, 'a whole number from 1');
  if (!(temperature >= 0 && Number.isFinite(temperature)))
    throw badOption('temperature', temperature, 'a number from 0');
  if (!(topP > 0 && topP <= 1)) throw badOption('topP', topP, 'a number above 0, at most 1');
}
