import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findPython, skips } from '../../test/conformance/python.ts';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { precisions } from '../src/devices/precision.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import { encodeBatch } from '../src/objectives/causal-lm.ts';
import { adamwScalars, firstMoment, nextState } from '../src/optim/adamw.ts';
import { lossScaleState } from '../src/optim/loss-scale.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import type { WireTensor } from '../src/session/messages.ts';
import { batchFeeds, trainedState } from '../src/training-loop.ts';
import { buildTrainingStep } from '../src/training-step.ts';
import { golden, tinyAdapter, tinyConfig, tinyExamples, tinyLayout, tinyModel } from './tiny-model.ts';

const python = findPython(['onnx', 'numpy']);
const script = fileURLToPath(new URL('run-by-reference.py', import.meta.url));
const shape = { batchSize: 2, sequenceLength: 12 };
const optimizer = { clipGradNorm: undefined, weightDecay: 0 };

const distance = (is: ArrayLike<number> | undefined, expected: readonly number[]): number =>
  Math.hypot(...expected.map((value, i) => value - (is?.[i] ?? Number.NaN))) / Math.hypot(...expected);

/** What GPUs are given, bfloat16 too, which of all providers only CUDA's has; the CPU's own form is held against it. */
describe.skipIf(skips('conformance', { 'Python with onnx': python }))('a training step in standard ONNX', () => {
  it.each(precisions)(
    'in %s passes the checker, and the reference evaluator gets the loss and the gradients of the CPU',
    async (precision) => {
      using model = tinyModel(false);
      const layout = tinyLayout();
      const weights = frozenWeights(model.tensors);
      const source = loraSource(weights, layout, 'both');
      const batch = encodeBatch(tinyExamples, { ...shape, vocabSize: golden.config.vocabSize, reduction: 'mean' });
      const state = [
        ...trainedState([[trainedInput, tinyAdapter(layout), [layout.size]]]),
        ...lossScaleState({ scale: 2 ** 10, goodSteps: 0 }),
      ];
      const inputs: WireTensor[] = [
        ...batchFeeds(batch),
        ...Object.entries(adamwScalars(1, 1e-2, 0)).map(([name, value]) => ({
          name,
          shape: [],
          data: Float32Array.of(value),
        })),
      ];

      const [file, feeds] = ['step.onnx', 'feeds.json'].map((name) => path.join(weights.folder, name));
      if (python === undefined || file === undefined || feeds === undefined) throw new Error('nothing to run it by');
      writeFileSync(file, buildTrainingStep(tinyConfig(false), shape, source, optimizer, 'portable', precision));
      const plain = [...inputs, ...state].map((tensor) => ({
        ...tensor,
        type: tensor.data.constructor.name,
        data: Array.from(tensor.data, Number),
      }));
      writeFileSync(feeds, JSON.stringify(plain));
      const printed = execFileSync(python, [script, file, feeds], { encoding: 'utf8', maxBuffer: 2 ** 28 });
      const expected = JSON.parse(printed) as Record<string, number[]>;

      await using thread = new SessionThread({
        provider: { name: 'cpu', target: 'cpu' },
        threads: 1,
        weightsFolder: weights.folder,
      });
      await thread.setState(state);
      await thread.open('step', buildTrainingStep(tinyConfig(false), shape, source, optimizer, 'cpu', precision));
      const loss = (await thread.run('step', inputs)).get('loss');
      const moments = (await thread.readState([firstMoment(trainedInput)])).get(firstMoment(trainedInput));
      // A sum in another order may round to the neighbouring half, here and there.
      const tolerance = { fp32: 1e-5, fp16: 2 ** -8, bf16: 2 ** -6 }[precision];
      expect(distance(loss, expected['loss'] ?? [])).toBeLessThan(tolerance);
      expect(distance(moments, expected[nextState(firstMoment(trainedInput))] ?? [])).toBeLessThan(tolerance);
    },
  );
});
