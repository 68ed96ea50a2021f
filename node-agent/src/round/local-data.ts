import { encodeRecords, splitHeldOut, type DataRecord, type Example, type Model } from '@weft/trainer';
import type { RunSpec } from '@weft/shared';
import { heldBackShare } from '../policy/metrics.ts';
import type { Policy } from '../policy/policy.ts';
import { encodeAhead } from './encode-ahead.ts';

export interface LocalExamples {
  readonly training: readonly Example[];
  /** Never trained on; scores each adapter that comes. */
  readonly heldOut: readonly Example[];
  /** Different records that those are made of. */
  readonly heldOutRecords: number;
}

/** The operator's records as rows of token ids; encoded once for as long as model and spec stay the same. */
export interface LocalData {
  examples(model: Model, spec: RunSpec, signal?: AbortSignal): Promise<LocalExamples>;
}

export interface HoldBack {
  readonly policy: Pick<Policy, 'metrics' | 'heldOutShare'>;
  /** Of the home: which records are held back follows from nothing that a coordinator says. */
  readonly key: string;
}

/**
 * @param records read once at the start: what is added to the files later takes part after a restart
 * @param holdBack left out, all is trained on
 */
export function createLocalData(records: readonly DataRecord[], holdBack?: HoldBack): LocalData {
  let kept: { readonly key: string; readonly examples: LocalExamples } | undefined;
  return {
    async examples(model, spec, signal) {
      const { sequenceLength } = spec.training;
      const share = holdBack === undefined ? 0 : heldBackShare(holdBack.policy, spec);
      const key = `${model.sha256}/${sequenceLength}/${share}`;
      if (kept?.key === key) return kept.examples;
      kept = undefined;
      const tokenizer = await encodeAhead(records, model.tokenizer, signal);
      const { training, heldOut } = splitHeldOut(records, share, holdBack?.key);
      const options = { sequenceLength, vocabSize: model.config.vocabSize };
      const encode = (part: readonly DataRecord[], shortText: 'refuse' | 'keep'): Example[] =>
        part.length === 0 ? [] : encodeRecords(part, tokenizer, { ...options, shortText }).examples;
      const examples = {
        training: encode(training, 'refuse'),
        heldOut: encode(heldOut, 'keep'),
        heldOutRecords: new Set(heldOut.map(({ id }) => id)).size,
      };
      kept = { key, examples };
      return examples;
    },
  };
}
