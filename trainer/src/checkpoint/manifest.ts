import { isSha256, type Sha256, WeftError } from '@weft/shared';
import { z } from 'zod';
import type { RunIdentity } from './identity.ts';
import type { TrainingState } from './training-state.ts';

/** Ours have about 1 KB, and some 60 bytes for each score. */
export const manifestLimitBytes = 1024 * 1024;
/** More than a picture shows; the oldest go first. */
const scoresLimit = 5_000;

const hash = z.custom<Sha256>((value) => typeof value === 'string' && isSha256(value));

const manifestSchema = z.strictObject({
  format: z.literal('weft-checkpoint-1'),
  step: z.int().min(1),
  tokens: z.int().min(0),
  examples: z.int().min(0),
  /** Absent in checkpoints of older versions. */
  skippedSteps: z.int().min(0).optional(),
  /** Of a run in fp16. */
  lossScale: z.strictObject({ scale: z.number().positive(), goodSteps: z.int().min(0) }).optional(),
  run: z.strictObject({
    model: hash,
    data: hash,
    startAdapter: hash,
    options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  }),
  // checkpoints from before there was validation have none
  scores: z
    .array(z.strictObject({ step: z.int().min(0), loss: z.number(), tokens: z.int().min(1) }))
    .max(scoresLimit)
    .default([]),
  tensors: z.strictObject({
    // a name, never a path: it is joined to the folder
    file: z.string().regex(/^step-\d+-[0-9a-f]{8}\.safetensors$/),
    sha256: hash,
  }),
});

export type CheckpointManifest = z.infer<typeof manifestSchema>;

/** Mean nats a counted token of held-out data, after so many steps, and how many tokens that were. */
export type CheckpointScore = Readonly<CheckpointManifest['scores'][number]>;

export const manifestOf = (
  run: RunIdentity,
  { step, tokens, examples, skippedSteps, lossScale }: TrainingState,
  scores: readonly CheckpointScore[],
  file: string,
  sha256: Sha256,
): string => {
  const manifest: CheckpointManifest = {
    format: 'weft-checkpoint-1',
    step,
    tokens,
    examples,
    skippedSteps,
    lossScale,
    run: { ...run, options: { ...run.options } },
    scores: scores.slice(-scoresLimit),
    tensors: { file, sha256 },
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
};

export function parseManifest(text: string): CheckpointManifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new WeftError('WEFT_CHECKPOINT_CORRUPT', 'checkpoint.json is not JSON');
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new WeftError(
    'WEFT_CHECKPOINT_CORRUPT',
    `checkpoint.json: ${issue?.path.join('.') || 'it'} is not what a checkpoint has there`,
  );
}
