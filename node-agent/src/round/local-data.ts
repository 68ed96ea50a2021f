import { encodeRecords, splitHeldOut, type DataRecord, type Example, type Model } from '@weft/trainer';
import type { RunSpec } from '@weft/shared';
import { encodeAhead } from './encode-ahead.ts';

export interface LocalExamples {
  readonly training: readonly Example[];
  /** Never trained on; scores each adapter that comes. */
  readonly heldOut: readonly Example[];
}

/** The operator's records as rows of token ids; encoded once for as long as model and spec stay the same. */
export interface LocalData {
  examples(model: Model, spec: RunSpec, signal?: AbortSignal): Promise<LocalExamples>;
}

/** @param records read once at the start: what is added to the files later takes part after a restart */
export function createLocalData(records: readonly DataRecord[]): LocalData {
  let kept: { readonly key: string; readonly examples: LocalExamples } | undefined;
  return {
    async examples(model, { training: { sequenceLength }, evaluation: { heldOutShare } }, signal) {
      const key = `${model.sha256}/${sequenceLength}/${heldOutShare}`;
      if (kept?.key === key) return kept.examples;
      kept = undefined;
      const tokenizer = await encodeAhead(records, model.tokenizer, signal);
      const { training, heldOut } = splitHeldOut(records, heldOutShare);
      const options = { sequenceLength, vocabSize: model.config.vocabSize };
      const encode = (part: readonly DataRecord[], shortText: 'refuse' | 'keep'): Example[] =>
        part.length === 0 ? [] : encodeRecords(part, tokenizer, { ...options, shortText }).examples;
      const examples = { training: encode(training, 'refuse'), heldOut: encode(heldOut, 'keep') };
      kept = { key, examples };
      return examples;
    },
  };
}
