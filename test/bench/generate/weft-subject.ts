import process from 'node:process';
import { continuePrompt, Decoder, openModel } from '@weft/trainer';
import { stepOnRequest } from '../step-on-request.ts';
import { promptTokens, promptOf, madeTokens } from './turns.ts';

// Arguments: GGUF, cache folder, threads. Does what `weft generate` does, a prompt at a time.
const [gguf = '', cacheDir = '', threads = ''] = process.argv.slice(2);
const model = await openModel(gguf, { cacheDir, base: 'auto' });
await using decoder = await Decoder.open({ model, threads: Number(threads) });

/** Milliseconds of the tokens after the first. */
async function continuing(promptIds: readonly number[], maxTokens: number): Promise<number> {
  let first = performance.now();
  let made = 0;
  for await (const _id of continuePrompt(decoder, { promptIds, maxTokens }))
    if (++made === 1) first = performance.now();
  return performance.now() - first;
}

await decoder.reserve(promptTokens + madeTokens);
await continuing([1], 1);
let turn = 0;
await stepOnRequest(() => continuing(promptOf(turn++, model.config.vocabSize), madeTokens));
