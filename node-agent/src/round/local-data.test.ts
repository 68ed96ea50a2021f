import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRunSpec, type Sha256 } from '@weft/shared';
import { encodeRecords, readRecords, splitHeldOut, type DataRecord, type Model, type Tokenizer } from '@weft/trainer';
import { expect, test } from 'vitest';
import { encodeAhead } from './encode-ahead.ts';
import { createLocalData } from './local-data.ts';

/** One id a character; counts how often it is asked. */
const countingTokenizer = (msPerText = 0) => {
  const counted = { encoded: 0 };
  const tokenizer: Tokenizer = {
    vocabSize: 70_000,
    bosTokenId: undefined,
    eosTokenId: 0,
    endTokenIds: [],
    padTokenId: undefined,
    encode(text) {
      counted.encoded++;
      for (const end = performance.now() + msPerText; performance.now() < end;);
      return Array.from(text, (character) => character.codePointAt(0)! % 70_000);
    },
    decode: (ids) => String.fromCodePoint(...ids),
    renderChat: (messages) => messages.map(({ content }) => content).join('\n'),
  };
  return { tokenizer, counted };
};

const modelWith = (tokenizer: Tokenizer, sha256 = 'a'): Model => ({
  name: 'test',
  path: '',
  sha256: sha256.repeat(64) as Sha256,
  tensors: new Map(),
  tokenizer,
  config: {
    family: 'llama',
    hiddenSize: 8,
    intermediateSize: 8,
    layers: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 8,
    vocabSize: 70_000,
    ropeTheta: 10_000,
    rmsNormEps: 1e-5,
    tieWordEmbeddings: true,
    maxPositions: 16,
  },
});

const spec = parseRunSpec({
  name: 'run',
  baseModel: { name: 'm', sha256: '0'.repeat(64) },
  adapter: {},
  training: { steps: 1, sequenceLength: 16 },
  aggregation: { mode: 'plain' },
  rounds: 1,
});

const makeRecords = async (): Promise<DataRecord[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-data-'));
  try {
    await writeFile(join(folder, 'a.txt'), Array.from({ length: 60 }, (_, i) => `line ${i} of the text`).join('\n'));
    await writeFile(
      join(folder, 'b.jsonl'),
      Array.from({ length: 20 }, (_, i) => JSON.stringify({ prompt: `ask ${i}`, completion: `answer ${i}` })).join(
        '\n',
      ),
    );
    return await readRecords([folder]);
  } finally {
    await rm(folder, { recursive: true });
  }
};

test('rows are those of the trainer, held-out records are in none of the training rows, and both come once', async () => {
  const records = await makeRecords();
  const { tokenizer, counted } = countingTokenizer();
  const data = createLocalData(records);
  const examples = await data.examples(modelWith(tokenizer), spec);
  const { training, heldOut } = splitHeldOut(records, spec.evaluation.heldOutShare);
  expect(heldOut.length).toBeGreaterThan(0);
  expect(examples.training).toEqual(encodeRecords(training, tokenizer, { sequenceLength: 16 }).examples);
  expect(examples.heldOut).toEqual(
    encodeRecords(heldOut, tokenizer, { sequenceLength: 16, shortText: 'keep' }).examples,
  );
  const before = counted.encoded;
  expect(await data.examples(modelWith(tokenizer), spec)).toBe(examples);
  expect(counted.encoded).toBe(before);
  await data.examples(modelWith(tokenizer, 'b'), spec);
  expect(counted.encoded).toBeGreaterThan(before);
});

test('while much text is encoded the process hears its session, and an abort ends it', async () => {
  const records = await makeRecords();
  let turns = 0;
  const listening = setInterval(() => turns++, 1);
  await encodeAhead(records, countingTokenizer(10).tokenizer);
  clearInterval(listening);
  expect(turns).toBeGreaterThan(3);
  await expect(encodeAhead(records, countingTokenizer(10).tokenizer, AbortSignal.abort())).rejects.toThrow();
});
