import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../src/models/model.ts';
import type { TrainingMemory } from '../src/training-memory.ts';

interface Work {
  readonly config: Partial<ModelConfig>;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly checkpointing?: boolean;
}

/** In a process of its own, whose largest resident set is this training's alone. */
function probe(work: Work): { readonly grownBytes: number; readonly predicted: TrainingMemory } {
  const file = fileURLToPath(new URL('memory-probe.ts', import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [file, JSON.stringify(work)], { encoding: 'utf8' }));
}

it('the logits of a wide vocabulary never stand in memory all at once', () => {
  const { grownBytes } = probe({ config: { vocabSize: 65_536 }, batchSize: 8, sequenceLength: 256 });
  // 2,048 rows of 65,536 logits are 512 MB, and a step needs them three times: logits, probabilities, gradient.
  expect(grownBytes).toBeGreaterThan(0);
  expect(grownBytes).toBeLessThan(300e6);
});

describe('the memory of a step', () => {
  const config = { layers: 6, hiddenSize: 64, intermediateSize: 256, heads: 4, kvHeads: 2, headDim: 16 };
  const stepBytes = ({ intermediateBytes, stateBytes }: TrainingMemory): number => intermediateBytes + stateBytes;

  it('is what was predicted, within a fifth, and much less with gradient checkpointing', () => {
    const work = { config, batchSize: 8, sequenceLength: 512 };
    // What a process needs before it computes anything large.
    const idle = probe({ ...work, batchSize: 1, sequenceLength: 32 });
    const [kept, again] = [probe(work), probe({ ...work, checkpointing: true })];
    for (const { grownBytes, predicted } of [kept, again]) {
      const ratio = (grownBytes - idle.grownBytes) / (stepBytes(predicted) - stepBytes(idle.predicted));
      expect(ratio).toBeGreaterThan(0.8);
      expect(ratio).toBeLessThan(1.2);
    }
    expect(again.grownBytes - idle.grownBytes).toBeLessThan(0.8 * (kept.grownBytes - idle.grownBytes));
  });
});
