import process from 'node:process';
import { createAdapterLayout } from '@weft/shared';
import { encodeRecords, holdBase, initAdapter, openModel, readRecords, train, trainingBases } from '@weft/trainer';
import { cases, clipGradNorm, learningCase, learningRate, lora } from './cases.ts';
import { stepOnRequest } from './step-on-request.ts';

// Arguments: GGUF, cache folder, rows, case, threads, base and, to profile, the beginning of a file's name. Does what
// `weft train` does, a step at a time.
const [gguf = '', cacheDir = '', rows = '', name = '', threads = '', asked = 'fp32', profilePrefix] =
  process.argv.slice(2);
const work = [...cases, learningCase].find((known) => known.name === name) ?? cases[0];
const { batchSize, sequenceLength, targets } = work;
const base = trainingBases.find((known) => known === asked) ?? 'fp32';
const model = await holdBase(await openModel(gguf, { cacheDir }), base, { cacheDir });
const layout = createAdapterLayout(model.config, { ...lora, targets });
const { examples } = encodeRecords(await readRecords([rows]), model.tokenizer, {
  sequenceLength,
  vocabSize: model.config.vocabSize,
});
const training = train({
  model,
  layout,
  adapter: initAdapter(layout, 0),
  examples,
  steps: Number.MAX_SAFE_INTEGER,
  batchSize,
  sequenceLength,
  learningRate,
  clipGradNorm,
  shuffle: false,
  threads: Number(threads),
  gradientCheckpointing: work.checkpointing ? 'on' : 'off',
  profilePrefix,
});
await stepOnRequest(async () => {
  const { value } = await training.next();
  return 'loss' in value ? value.loss : undefined;
});
// the generator ends its thread; there is no adapter to hand out
await training.return({ adapter: new Float32Array(), tokens: 0, examples: 0 });
