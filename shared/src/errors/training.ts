import { defineErrors } from './entry.ts';

/** Faults of a training or evaluation run. */
export const trainingErrors = defineErrors({
  WEFT_TRAINING_NO_GRADIENT: {
    grpc: 'INTERNAL',
    http: 500,
    exit: 1,
    todo: 'give the operator a gradient rule in trainer/src/ops',
    retry: false,
  },
  WEFT_TRAINING_DIVERGED: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: 3,
    todo: 'lower the learning rate, warm up for longer, or look for damaged examples',
    retry: false,
  },
  WEFT_TRAINING_UNFINISHED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: 1,
    todo: 'take the steps to their end, or keep the snapshot of a step',
    retry: false,
  },
  WEFT_TRAINING_NOTHING_COUNTED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 3,
    todo: 'give examples in which at least one token counts (a label other than -100 after the first)',
    retry: false,
  },
  WEFT_TRAINING_BAD_EXAMPLE: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 3,
    todo: 'encode the data with the tokenizer of this model',
    retry: false,
  },
  WEFT_TRAINING_BAD_OPTION: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 2,
    todo: 'give a value in the range that is named',
    retry: false,
  },
  WEFT_TRAINING_DEVICE: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'choose --device cpu, or install what the device needs',
    retry: false,
  },
  WEFT_DEVICE_MISSING: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'install what is named, or choose --device auto; weft doctor lists what this machine has',
    retry: false,
  },
  WEFT_TRAINING_RUNTIME: {
    grpc: 'INTERNAL',
    http: 500,
    exit: 6,
    todo: 'free memory or lower the batch size or sequence length; if it stays, report this',
    retry: false,
  },
  WEFT_CHECKPOINT_NOT_FOUND: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: 'start without --resume; --checkpoint-every writes checkpoints into the folder of --out',
    retry: false,
  },
  WEFT_CHECKPOINT_CORRUPT: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'remove the checkpoint folder and start again without --resume',
    retry: false,
  },
  WEFT_CHECKPOINT_MISFIT: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: 2,
    todo: 'give the model, data and flags that the run began with, or start again without --resume',
    retry: false,
  },
});
