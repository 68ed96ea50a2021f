import { encodeRecords, splitHeldOut, type DataRecord, type Example, type Model } from '@weft/trainer';
import type { RunSpec } from '@weft/shared';

export interface LocalExamples {
  readonly training: readonly Example[];
  /** Never trained on; scores each adapter that comes. */
  readonly heldOut: readonly Example[];
}

/** The operator's records as rows of token ids; encoded once for as long as model and spec stay the same. */
export interface LocalData {
  examples(model: Model, spec: RunSpec): LocalExamples;
}

/** @param records read once at the start: what is added to the files later takes part after a restart */
export function createLocalData(records: readonly DataRecord[]): LocalData {
  let kept: { readonly key: string; readonly examples: LocalExamples } | undefined;
  return {
    examples(model, { training: { sequenceLength }, evaluation: { heldOutShare } }) {
      const key = `${model.sha256}/${sequenceLength}/${heldOutShare}`;
      if (kept?.key !== key) {
        const { training, heldOut } = splitHeldOut(records, heldOutShare);
        const options = { sequenceLength, vocabSize: model.config.vocabSize };
        const encode = (part: readonly DataRecord[], shortText: 'refuse' | 'keep'): Example[] =>
          part.length === 0 ? [] : encodeRecords(part, model.tokenizer, { ...options, shortText }).examples;
        kept = { key, examples: { training: encode(training, 'refuse'), heldOut: encode(heldOut, 'keep') } };
      }
      return kept.examples;
    },
  };
}
