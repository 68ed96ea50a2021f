import { createHash } from 'node:crypto';
import { isSha256, sha256, type Sha256, WeftError } from '@weft/shared';
import type { Example } from '../data/index.ts';
import type { Model } from '../models/model.ts';
import { toBytes } from '../weights/half.ts';

/** What a run is made of: a checkpoint goes on only where all of it is the same. */
export interface RunIdentity {
  readonly model: Sha256;
  /** Of the rows of token ids, hence of the tokenizer and the sequence length too. */
  readonly data: Sha256;
  /** Of the adapter that step 1 starts from. */
  readonly startAdapter: Sha256;
  /** Whatever else decides the bits of a step, by the names that a user knows. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

export const identifyRun = (
  model: Pick<Model, 'sha256'>,
  examples: readonly Example[],
  startAdapter: Float32Array,
  options: RunIdentity['options'],
): RunIdentity => ({
  model: model.sha256,
  data: hashExamples(examples),
  startAdapter: sha256(toBytes(startAdapter, 'F32')),
  options,
});

function hashExamples(examples: readonly Example[]): Sha256 {
  const hash = createHash('sha256');
  for (const { inputIds, labels } of examples) {
    hash.update(Int32Array.of(inputIds.length));
    hash.update(inputIds);
    hash.update(labels);
  }
  const digest = hash.digest('hex');
  if (!isSha256(digest)) throw new WeftError('WEFT_INTERNAL', 'a digest has the wrong length');
  return digest;
}

/** Refuses a checkpoint of another run, with every difference by name. */
export function refuseOtherRun(saved: RunIdentity, asked: RunIdentity): void {
  const differences = [
    ...(['model', 'data', 'startAdapter'] as const)
      .filter((name) => saved[name] !== asked[name])
      .map((name) => difference(spoken[name], asked[name].slice(0, 12), saved[name].slice(0, 12))),
    ...[...new Set([...Object.keys(asked.options), ...Object.keys(saved.options)])]
      .filter((name) => saved.options[name] !== asked.options[name])
      .map((name) => difference(name, asked.options[name], saved.options[name])),
  ];
  if (differences.length === 0) return;
  throw new WeftError('WEFT_CHECKPOINT_MISFIT', `the checkpoint is of another run: ${differences.join('; ')}`, {
    differences: differences.length,
  });
}

const spoken = { model: 'the model', data: 'the data', startAdapter: 'the first adapter' } as const;

type OptionValue = RunIdentity['options'][string] | undefined;

const difference = (name: string, asked: OptionValue, saved: OptionValue): string =>
  `${name} is ${asked ?? 'not set'}, the checkpoint has ${saved ?? 'nothing'}`;
