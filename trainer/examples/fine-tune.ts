import process from 'node:process';
import { encodeRecords, evaluate, openModel, readRecords, saveAdapter, train } from '@weft/trainer';

// node trainer/examples/fine-tune.ts models/weft-tiny-llama README.md adapter
const [modelPath = '', dataFile = '', adapterFolder = ''] = process.argv.slice(2);

const model = await openModel(modelPath);
const { examples } = encodeRecords(await readRecords([dataFile]), model.tokenizer, { sequenceLength: 64 });

const run = train({ model, examples, lora: { rank: 8, alpha: 16 }, steps: 20, batchSize: 8, learningRate: 3e-3 });
for await (const { step, loss, tokensPerSecond } of run) {
  console.log(`step ${step} of ${run.steps}: loss ${loss.toFixed(3)}, ${tokensPerSecond.toFixed(0)} tokens/s`);
}
await saveAdapter(adapterFolder, model, run.trained);

const { lossSum, tokens } = await evaluate({ model, examples, ...run.trained });
console.log(`with the adapter: loss ${(lossSum / tokens).toFixed(3)}`);
