/**
 * Two steps of training. Argument: what of configuration and options differs from a small model's, as JSON. Prints by how
 * many bytes the process grew, and what was predicted.
 */
import { createAdapterLayout } from '@weft/shared';
import { initAdapter } from '../src/adapters/init-adapter.ts';
import { initWeights } from '../src/models/full-source.ts';
import type { ModelConfig } from '../src/models/model.ts';
import { predictTrainingMemory } from '../src/training-memory.ts';
import { train } from '../src/training-run.ts';
import { modelOnDisk } from './tiny-model.ts';

const small: ModelConfig = {
  family: 'llama',
  hiddenSize: 16,
  intermediateSize: 32,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  vocabSize: 512,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 512,
};
const { config: changes, batchSize, sequenceLength, checkpointing } = JSON.parse(process.argv[2] ?? '{}');
const config: ModelConfig = { ...small, ...changes };
using model = modelOnDisk(config, initWeights(config, 1), 'F32');
const layout = createAdapterLayout(config, { rank: 2, alpha: 2, targets: ['q_proj'] });
const inputIds = Int32Array.from({ length: sequenceLength }, (_, index) => (index * 7919) % config.vocabSize);
const examples = Array.from({ length: batchSize }, () => ({ inputIds, labels: inputIds }));
const options = { steps: 2, batchSize, sequenceLength, learningRate: 1e-3, threads: 1 };
const gradientCheckpointing = checkpointing ? 'on' : 'off';

const before = process.resourceUsage().maxRSS;
const run = train({ model, layout, adapter: initAdapter(layout, 0), examples, ...options, gradientCheckpointing });
let finished = false;
while (!finished) finished = (await run.next()).done ?? false;
const grownBytes = 1024 * (process.resourceUsage().maxRSS - before);
const predicted = predictTrainingMemory({ model, layout, batchSize, sequenceLength, checkpointing });
process.stdout.write(`${JSON.stringify({ grownBytes, predicted })}\n`);
