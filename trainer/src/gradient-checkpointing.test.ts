import { describe, expect, it } from 'vitest';
import { fullSource } from './models/full-source.ts';
import type { ModelConfig } from './models/model.ts';
import { decideCheckpointing } from './gradient-checkpointing.ts';
import { predictStepMemory } from './training-memory.ts';

const config: ModelConfig = {
  family: 'llama',
  hiddenSize: 64,
  intermediateSize: 256,
  layers: 8,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  vocabSize: 512,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 512,
};
const shape = { batchSize: 4, sequenceLength: 256 };
const needs = (checkpointing: boolean): number => {
  const memory = predictStepMemory(config, { ...shape, checkpointing }, fullSource);
  return memory.intermediateBytes + memory.stateBytes + memory.graphBytes;
};
const decide = (asked: 'auto' | 'on' | 'off', freeBytes: number, name: 'cpu' | 'webgpu' = 'cpu'): boolean =>
  decideCheckpointing({ ...shape, gradientCheckpointing: asked }, config, fullSource, { name }, freeBytes);

describe('gradient checkpointing', () => {
  it('needs much less memory', () => {
    expect(needs(true)).toBeLessThan(0.7 * needs(false));
  });

  it('left to itself is on where a step would take more than half of the free memory', () => {
    expect(decide('auto', 2.1 * needs(false))).toBe(false);
    expect(decide('auto', 1.9 * needs(false))).toBe(true);
  });

  it('is as it was asked for where that fits, and on other devices than the CPU in any case', () => {
    expect([decide('on', 1e12), decide('off', 1.1 * needs(false))]).toEqual([true, false]);
    expect([decide('on', 0, 'webgpu'), decide('off', 0, 'webgpu'), decide('auto', 0, 'webgpu')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('is refused with both numbers where the step does not fit', () => {
    const short = {
      code: 'WEFT_TRAINING_MEMORY',
      details: expect.objectContaining({ availableBytes: 1e6 }) as unknown,
    };
    expect(() => decide('auto', 1e6)).toThrow(expect.objectContaining(short));
    expect(() => decide('off', 0.9 * needs(false))).toThrow(/a step of 4 × 256 tokens without .* needs about \d+ MB/);
  });
});

it('many layers cost what few of them tell', () => {
  const exact = (layers: number): number =>
    predictStepMemory({ ...config, layers }, shape, fullSource).intermediateBytes;
  expect((exact(4) - exact(2)) / 2).toBeCloseTo((exact(12) - exact(4)) / 8, -4);
});
