import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DataRecord, Tokenizer } from '@weft/trainer';

/** So long the process may be deaf to its session: a small part of a heartbeat. */
const sliceMs = 100;

/**
 * Encodes the records' texts in slices, so that the session stays alive over data that takes minutes.
 * @returns a tokenizer that has the answers ready
 */
export async function encodeAhead(
  records: readonly DataRecord[],
  tokenizer: Tokenizer,
  signal?: AbortSignal,
): Promise<Tokenizer> {
  const known = new Map<string, number[]>();
  let sliceEndsMs = performance.now() + sliceMs;
  for (const text of textsOf(records)) {
    if (!known.has(text)) known.set(text, tokenizer.encode(text));
    if (performance.now() < sliceEndsMs) continue;
    await nextTurn();
    signal?.throwIfAborted();
    sliceEndsMs = performance.now() + sliceMs;
  }
  return {
    vocabSize: tokenizer.vocabSize,
    bosTokenId: tokenizer.bosTokenId,
    eosTokenId: tokenizer.eosTokenId,
    endTokenIds: tokenizer.endTokenIds,
    padTokenId: tokenizer.padTokenId,
    encode: (text) => known.get(text) ?? tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    renderChat: (messages, options) => tokenizer.renderChat(messages, options),
  };
}

/** Conversations are left to the encoder: what it encodes of them comes out of the model's template. */
function* textsOf(records: readonly DataRecord[]): Generator<string> {
  for (const record of records) {
    if (record.kind === 'text') yield record.text;
    if (record.kind === 'promptCompletion') {
      yield record.prompt;
      yield record.completion;
    }
  }
}
