import { WeftError } from '@weft/shared';
import type { ChatMessage } from '../tokenizer/tokenizer.ts';
import { dataLimits } from './limits.ts';
import { placeOf, type RecordContent, type RecordSource } from './record.ts';

/** A token that does not count towards the loss, as in PyTorch and transformers. */
export const ignoredLabel = -100;

/** Types of one line of a .jsonl file. */
export function parseJsonLine(text: string, source: RecordSource): RecordContent {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // no cause: V8's message quotes the line
    throw malformed(source, 'is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw malformed(source, 'is not a JSON object');
  const { input_ids: inputIds, labels, messages, prompt, completion, text: plain } = json as Record<string, unknown>;
  if (inputIds !== undefined) return parseIds(inputIds, labels, source);
  if (labels !== undefined) throw malformed(source, 'has labels without input_ids');
  if (messages !== undefined) return { kind: 'messages', messages: parseMessages(messages, source) };
  if (prompt !== undefined || completion !== undefined) {
    if (typeof prompt !== 'string' || typeof completion !== 'string')
      throw malformed(source, 'needs both prompt and completion as strings');
    return { kind: 'promptCompletion', prompt, completion };
  }
  if (typeof plain !== 'string')
    throw malformed(source, 'has none of input_ids, messages, prompt and completion, text');
  return { kind: 'text', text: plain };
}

function parseIds(inputIds: unknown, labels: unknown, source: RecordSource): RecordContent {
  if (!isIntegers(inputIds, 0)) throw malformed(source, 'has input_ids that are no list of token ids');
  if (inputIds.length === 0) throw malformed(source, 'has no input_ids');
  if (labels === undefined || labels === null)
    return { kind: 'ids', inputIds: Int32Array.from(inputIds), labels: undefined };
  if (!isIntegers(labels, ignoredLabel)) throw malformed(source, 'has labels that are no list of token ids');
  if (labels.length !== inputIds.length) {
    throw new WeftError(
      'WEFT_DATA_LABELS_MISFIT',
      `${placeOf(source)} has ${labels.length} labels for ${inputIds.length} ids`,
      { ...source },
    );
  }
  if (labels.some((label) => label < 0 && label !== ignoredLabel)) {
    throw new WeftError(
      'WEFT_DATA_LABELS_MISFIT',
      `${placeOf(source)} has a negative label other than ${ignoredLabel}`,
      { ...source },
    );
  }
  return { kind: 'ids', inputIds: Int32Array.from(inputIds), labels: Int32Array.from(labels) };
}

const isIntegers = (value: unknown, smallest: number): value is number[] =>
  Array.isArray(value) &&
  value.every((item) => Number.isInteger(item) && (item as number) >= smallest && (item as number) <= 0x7fffffff);

/** The messages of a conversation, from JSON or a table. */
export function parseMessages(value: unknown, source: RecordSource): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) throw malformed(source, 'has messages that are no list');
  if (value.length > dataLimits.messages) {
    throw new WeftError(
      'WEFT_DATA_LIMIT',
      `${placeOf(source)} has ${value.length} messages, the limit is ${dataLimits.messages} (messages)`,
      { ...source, limit: 'data.messages' },
    );
  }
  return value.map((message: unknown) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    if (typeof role !== 'string' || typeof content !== 'string')
      throw malformed(source, 'has a message without role and content as strings');
    return { role, content };
  });
}

const malformed = (source: RecordSource, what: string): WeftError =>
  new WeftError('WEFT_DATA_MALFORMED', `${placeOf(source)} ${what}`, { ...source });
