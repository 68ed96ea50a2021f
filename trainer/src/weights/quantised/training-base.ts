/**
 * How frozen base weights are held for training and scoring. fp32 takes them as the model's files have them, and so does
 * bf16 those of 16 bits. fp16 is what WebGPU can read of a model in bfloat16.
 */
export const trainingBases = ['fp32', 'fp16', 'bf16', 'int8', 'int4'] as const;
export type TrainingBase = (typeof trainingBases)[number];
