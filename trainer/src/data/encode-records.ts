import { isWeftError, WeftError } from '@weft/shared';
import { withinTemplateTime } from '../tokenizer/chat-template.ts';
import type { ChatMessage, Tokenizer } from '../tokenizer/tokenizer.ts';
import { lengthDistribution, type LengthDistribution } from './length-distribution.ts';
import { ignoredLabel } from './parse-json-line.ts';
import { type DataRecord, placeOf } from './record.ts';

/** A row for training. `labels[t] === -100` does not count; labels are not shifted: position t predicts `labels[t + 1]`. */
export interface Example {
  readonly inputIds: Int32Array;
  readonly labels: Int32Array;
  /** Of a packed row: the lengths of the examples that it is made of. */
  readonly segmentLengths?: readonly number[];
}

export interface EncodeOptions {
  /** The longest row, `--seq`. */
  readonly sequenceLength: number;
  /** Ids at or above it are refused; default: the tokenizer's. A model's may be larger. */
  readonly vocabSize?: number | undefined;
  /** Whether the end-of-sequence token follows each text and completion; default true. */
  readonly appendEos?: boolean | undefined;
  /** Whether text shorter than one sequence is an error (for training) or one short row (for evaluation); default 'refuse'. */
  readonly shortText?: 'refuse' | 'keep' | undefined;
}

export interface EncodeReport {
  readonly records: number;
  readonly examples: number;
  readonly tokens: number;
  /** Tokens that the loss counts: labels other than −100, from the second position on. */
  readonly countedTokens: number;
  /** Rows cut at the sequence length, and the tokens that they lost. */
  readonly truncated: number;
  readonly cutTokens: number;
  /** Of the rows before they were cut. */
  readonly lengths: LengthDistribution;
  /** Prompts and conversations left out, because nothing in them counts (within the sequence length). */
  readonly dropped: number;
}

/**
 * Rows of token ids. Texts are joined, each followed by the end-of-sequence token, and cut into rows of
 * `sequenceLength`; the rest is a shorter row. Every other record is one row. Rows keep the records' order,
 * packed texts first.
 */
export function encodeRecords(
  records: readonly DataRecord[],
  tokenizer: Tokenizer,
  options: EncodeOptions,
): { examples: Example[]; report: EncodeReport } {
  const { sequenceLength, shortText = 'refuse' } = options;
  if (!Number.isInteger(sequenceLength) || sequenceLength < 2)
    throw new WeftError('WEFT_USAGE', `a sequence has ${sequenceLength} tokens, 2 are the least`, { sequenceLength });
  const vocabSize = options.vocabSize ?? tokenizer.vocabSize;
  const eos = options.appendEos === false || tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId];
  const packed: number[] = [];
  const rows: Example[] = [];
  const lengths: number[] = [];
  let truncated = 0;
  let cutTokens = 0;
  let dropped = 0;
  for (const record of records) {
    if (record.kind === 'text') {
      for (const id of tokenizer.encode(record.text)) packed.push(id);
      packed.push(...eos);
      continue;
    }
    const row = encodeRow(record, tokenizer, eos, vocabSize);
    const cut =
      row.inputIds.length > sequenceLength
        ? { inputIds: row.inputIds.slice(0, sequenceLength), labels: row.labels.slice(0, sequenceLength) }
        : row;
    // ids are taken as they are; a batch in which nothing counts is the trainer's to refuse
    if (record.kind !== 'ids' && countLabels(cut) === 0) {
      dropped++;
      continue;
    }
    if (cut !== row) truncated++;
    cutTokens += row.inputIds.length - cut.inputIds.length;
    lengths.push(row.inputIds.length);
    rows.push(cut);
  }
  if (shortText === 'refuse' && rows.length === 0 && records.length > dropped && packed.length < sequenceLength) {
    throw new WeftError(
      'WEFT_DATA_TOO_SHORT',
      `the text has ${packed.length} tokens, one sequence has ${sequenceLength}`,
      { tokens: packed.length, sequenceLength },
    );
  }
  const joined = [...cutIntoRows(packed, sequenceLength)];
  const examples = [...joined, ...rows];
  const tokens = examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const countedTokens = examples.reduce((sum, example) => sum + countLabels(example), 0);
  return {
    examples,
    report: {
      records: records.length,
      examples: examples.length,
      tokens,
      countedTokens,
      truncated,
      cutTokens,
      dropped,
      lengths: lengthDistribution([...joined.map(({ inputIds }) => inputIds.length), ...lengths]),
    },
  };
}

function* cutIntoRows(ids: readonly number[], length: number): Generator<Example> {
  for (let start = 0; start < ids.length; start += length) {
    const inputIds = Int32Array.from(ids.slice(start, start + length));
    if (inputIds.length > 1) yield { inputIds, labels: inputIds.slice() }; // a single token has nothing to predict
  }
}

export const countLabels = ({ labels }: Example): number =>
  labels.subarray(1).reduce((sum, label) => sum + (label === ignoredLabel ? 0 : 1), 0);

type RowRecord = Exclude<DataRecord, { kind: 'text' }>;

function encodeRow(record: RowRecord, tokenizer: Tokenizer, eos: readonly number[], vocabSize: number): Example {
  switch (record.kind) {
    case 'ids': {
      const labels = record.labels ?? record.inputIds.slice();
      const foreign = [record.inputIds, labels].some((ids) => ids.some((id) => id >= vocabSize));
      if (foreign)
        throw new WeftError(
          'WEFT_DATA_ID_OUT_OF_RANGE',
          `${placeOf(record.source)} has an id outside the vocabulary of ${vocabSize}`,
          { ...record.source, vocabSize },
        );
      return { inputIds: record.inputIds, labels };
    }
    case 'promptCompletion':
      return joinPieces([
        { ids: tokenizer.encode(record.prompt), counts: false },
        { ids: [...tokenizer.encode(record.completion), ...eos], counts: true },
      ]);
    case 'messages':
      try {
        return joinPieces(conversationPieces(record.messages, tokenizer));
      } catch (error) {
        if (!isWeftError(error, 'WEFT_MODEL_CHAT_TEMPLATE_FAILED')) throw error;
        throw new WeftError(error.code, `${placeOf(record.source)}: ${error.message}`, {
          ...error.details,
          ...record.source,
        });
      }
  }
}

interface Piece {
  readonly ids: readonly number[];
  readonly counts: boolean;
}

/**
 * The assistant's turns count, with the end mark that the template gives them; all else is context. Each turn is encoded
 * by itself, behind the generation prompt, as the model will meet it when it answers. What follows the last turn of
 * the assistant teaches nothing and is left out.
 */
function conversationPieces(messages: readonly ChatMessage[], tokenizer: Tokenizer): Piece[] {
  const render = (): Turn[] => renderTurns(messages, tokenizer);
  const answers = messages.filter(({ role }) => role === 'assistant').length;
  // each rendering is bounded; a few short ones together are watched for the price of one
  const turns = answers <= turnsAtOnce ? withinTemplateTime(messages.length, render) : render();
  return turns.flatMap(({ context, answer }) => [
    { ids: tokenizer.encode(context), counts: false },
    { ids: tokenizer.encode(answer), counts: true },
  ]);
}

/** A thousand messages take a minute in all, and no longer than others each time. */
const turnsAtOnce = 8;

/** The text of one of the assistant's turns, and what stands between it and the turn before. */
interface Turn {
  readonly context: string;
  readonly answer: string;
}

function renderTurns(messages: readonly ChatMessage[], tokenizer: Tokenizer): Turn[] {
  const turns: Turn[] = [];
  let done = '';
  messages.forEach(({ role }, i) => {
    if (role !== 'assistant') return;
    const before = tokenizer.renderChat(messages.slice(0, i), { addGenerationPrompt: true });
    const after = tokenizer.renderChat(messages.slice(0, i + 1));
    if (!before.startsWith(done) || !after.startsWith(before)) {
      throw new WeftError(
        'WEFT_MODEL_CHAT_TEMPLATE_FAILED',
        `the chat template rewrites earlier turns in a conversation of ${messages.length} messages`,
        { messages: messages.length },
      );
    }
    turns.push({ context: before.slice(done.length), answer: after.slice(before.length) });
    done = after;
  });
  return turns;
}

function joinPieces(pieces: readonly Piece[]): Example {
  return {
    inputIds: Int32Array.from(pieces.flatMap(({ ids }) => [...ids])),
    labels: Int32Array.from(pieces.flatMap(({ ids, counts }) => ids.map((id) => (counts ? id : ignoredLabel)))),
  };
}
