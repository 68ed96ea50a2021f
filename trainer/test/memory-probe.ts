/** Two steps on a model whose vocabulary is wide; prints by how many megabytes the process grew. */
import { createAdapterLayout } from '@weft/shared';
import { initAdapter } from '../src/adapters/init-adapter.ts';
import { initWeights } from '../src/models/full-source.ts';
import type { ModelConfig } from '../src/models/model.ts';
import { train } from '../src/training-run.ts';
import { modelOnDisk } from './tiny-model.ts';

const config: ModelConfig = {
  family: 'llama',
  hiddenSize: 16,
  intermediateSize: 32,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  vocabSize: 65_536,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 512,
};
using model = modelOnDisk(config, initWeights(config, 1), 'F32');
const layout = createAdapterLayout(config, { rank: 2, alpha: 2, targets: ['q_proj'] });
const inputIds = Int32Array.from({ length: 256 }, (_, index) => (index * 7919) % config.vocabSize);
const examples = [{ inputIds, labels: inputIds }];
const options = { steps: 2, batchSize: 8, sequenceLength: 256, learningRate: 1e-3, threads: 1 };

const before = process.resourceUsage().maxRSS;
const run = train({ model, layout, adapter: initAdapter(layout, 0), examples, ...options });
let finished = false;
while (!finished) finished = (await run.next()).done ?? false;
process.stdout.write(`${Math.round((process.resourceUsage().maxRSS - before) / 1024)}\n`);
