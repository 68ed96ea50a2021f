import { availableMemory } from 'node:process';
import { WeftError } from '@weft/shared';
import type { BatchShape, ParameterSource } from './models/llama.ts';
import type { ModelConfig } from './models/model.ts';
import type { Provider } from './session/device.ts';
import { predictStepMemory, type TrainingMemory } from './training-memory.ts';

export const gradientCheckpointings = ['auto', 'on', 'off'] as const;
/** Whether the backward pass computes each layer again: the same bits, in far less memory, for about half as much time more. */
export type GradientCheckpointing = (typeof gradientCheckpointings)[number];

export interface CheckpointingOptions extends BatchShape {
  readonly gradientCheckpointing?: GradientCheckpointing | undefined;
}

/** The part of the free memory that `auto` lets a step take before it computes layers again. */
const comfortableShare = 0.5;

/** What must be in memory at once; the pages of files can be dropped, and what the process itself holds is held already. */
const neededBytes = ({ intermediateBytes, stateBytes, graphBytes }: TrainingMemory): number =>
  intermediateBytes + stateBytes + graphBytes;

/**
 * Decides for the largest shape of a run. On the CPU a step that cannot fit is refused here, before anything is trained;
 * what other devices have is not known, and they do what they are told.
 * @throws WEFT_TRAINING_MEMORY
 */
export function decideCheckpointing(
  { gradientCheckpointing: asked = 'auto', batchSize, sequenceLength }: CheckpointingOptions,
  config: ModelConfig,
  sourceOf: (config: ModelConfig) => ParameterSource,
  provider: Pick<Provider, 'name'>,
  freeBytes: number = availableMemory(),
): boolean {
  if (provider.name !== 'cpu') return asked === 'on';
  const needs = (checkpointing: boolean): number =>
    neededBytes(predictStepMemory(config, { batchSize, sequenceLength, checkpointing }, sourceOf));
  const checkpointing = asked === 'auto' ? needs(false) > comfortableShare * freeBytes : asked === 'on';
  const needed = needs(checkpointing);
  if (needed <= freeBytes) return checkpointing;
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  throw new WeftError(
    'WEFT_TRAINING_MEMORY',
    `a step of ${batchSize} × ${sequenceLength} tokens ${checkpointing ? 'with' : 'without'} gradient checkpointing needs about ${megabytes(needed)}, and ${megabytes(freeBytes)} are available`,
    { neededBytes: needed, availableBytes: freeBytes, batchSize, sequenceLength, checkpointing },
  );
}
