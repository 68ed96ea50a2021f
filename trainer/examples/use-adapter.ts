import process from 'node:process';
import { exportAdapter, generate, loadAdapter, openModel, TextStream } from '@weft/trainer';

// node trainer/examples/use-adapter.ts models/weft-tiny-llama adapter 'A federation is' merged
const [modelPath = '', adapterFolder = '', prompt = '', mergedFolder = ''] = process.argv.slice(2);

const model = await openModel(modelPath);
const adapter = await loadAdapter(adapterFolder, model);

const promptIds = model.tokenizer.encode(prompt);
const { endTokenIds: endIds } = model.tokenizer;
const text = new TextStream(model.tokenizer, promptIds);
for await (const id of generate({ model, ...adapter, promptIds, endIds, maxTokens: 40 })) {
  process.stdout.write(text.push(id));
}
console.log(text.end());

await exportAdapter({ model, adapter: adapterFolder, format: 'safetensors', out: mergedFolder });
