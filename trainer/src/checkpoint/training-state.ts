import type { LossScaleState } from '../optim/loss-scale.ts';
import type { Consumed } from '../training-loop.ts';

/** All that a LoRA training needs to go on as if it had never stopped, beside its options. */
export interface TrainingState extends Consumed {
  /** Steps that are done; it is the batch order's position too. */
  readonly step: number;
  /** Values in layout order. */
  readonly adapter: Float32Array;
  /** AdamW's moments of the trained factor. */
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  /** Steps that changed nothing. */
  readonly skippedSteps?: number | undefined;
  /** Of a run in fp16. */
  readonly lossScale?: LossScaleState | undefined;
}
