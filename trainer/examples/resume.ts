import process from 'node:process';
import { encodeRecords, isWeftError, openModel, readRecords, train, type TrainingState } from '@weft/trainer';

// node trainer/examples/resume.ts models/weft-tiny-llama README.md
const [modelPath = '', dataFile = ''] = process.argv.slice(2);

const model = await openModel(modelPath);
const { examples } = encodeRecords(await readRecords([dataFile]), model.tokenizer, { sequenceLength: 64 });
const options = { model, examples, steps: 6, seed: 7, threads: 1 };

let saved: TrainingState | undefined;
try {
  for await (const { step, loss, snapshot } of train(options)) {
    console.log(step, loss);
    if (step === 3) saved = await snapshot();
  }
  // the same losses again from step 4 on, bit for bit: the snapshot holds the optimizer's moments too
  for await (const { step, loss } of train({ ...options, resumeFrom: saved })) console.log(step, loss);
} catch (error) {
  // every error has a code, what happened with the numbers, and what to do about it (docs/errors.md)
  if (isWeftError(error)) console.error(error.code, error.message);
  throw error;
}
