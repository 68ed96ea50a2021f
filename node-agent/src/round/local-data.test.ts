import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRunSpec, type RunSpec, type Sha256 } from '@weft/shared';
import { encodeRecords, readRecords, splitHeldOut, type DataRecord, type Model, type Tokenizer } from '@weft/trainer';
import { expect, test } from 'vitest';
import { encodeAhead } from './encode-ahead.ts';
import { defaultPolicy, policySchema } from '../policy/policy.ts';
import { createLocalData, type HoldBack } from './local-data.ts';

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

const policy = policySchema.parse({ metrics: ['held-out-loss'], heldOutShare: 0.25 });
const key = 'of this home';
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
  const data = createLocalData(records, { policy, key });
  const examples = await data.examples(modelWith(tokenizer), spec);
  const { training, heldOut } = splitHeldOut(records, policy.heldOutShare, key);
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

test('which records are held back no run decides: their number and choice are the node’s own, or it holds back none', async () => {
  const records = await makeRecords();
  const model = modelWith(countingTokenizer().tokenizer);
  const withShare = (heldOutShare: number): RunSpec => ({ ...spec, evaluation: { heldOutShare } });
  const heldOutOf = async (holdBack: HoldBack, share: number) =>
    (await createLocalData(records, holdBack).examples(model, withShare(share))).heldOut;
  const own = await heldOutOf({ policy, key }, 0.25);
  for (let share = 0.01; share < 0.5; share += 0.01) expect(await heldOutOf({ policy, key }, share)).toEqual(own);
  expect(await heldOutOf({ policy, key: 'of another home' }, 0.25)).not.toEqual(own);
  for (const idle of [
    { holdBack: { policy, key }, share: 0 },
    { holdBack: { policy: { ...policy, metrics: defaultPolicy.metrics }, key }, share: 0.25 },
  ])
    expect(await heldOutOf(idle.holdBack, idle.share)).toEqual([]);
  const twice = await createLocalData([...records, ...records], { policy, key }).examples(model, spec);
  expect(twice.heldOut.length).toBeGreaterThan(own.length);
  expect(twice.heldOutRecords).toBe(splitHeldOut(records, policy.heldOutShare, key).heldOut.length);
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
