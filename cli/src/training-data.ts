import {
  encodeRecords,
  type DataRecord,
  type EncodeReport,
  type Example,
  type Model,
  measurePadding,
  packExamples,
  type Padding,
  readRecords,
  splitHeldOut,
} from '@weft/trainer';
import { WeftError } from '@weft/shared';

export interface TrainingData {
  readonly examples: readonly Example[];
  readonly report: EncodeReport;
  /** Of the examples before they were packed. */
  readonly padding: Padding;
  /** Never trained on. */
  readonly validation: { readonly examples: readonly Example[]; readonly report: EncodeReport } | undefined;
}

interface DataOptions {
  readonly data: readonly string[];
  /** A share of the records, or a file. */
  readonly validation?: number | string;
  readonly seq: number;
  readonly batch: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly packing?: true;
}

/** Reads and encodes what is trained on, and what is held back from it. */
export const readTrainingData = async (model: Model, given: DataOptions): Promise<TrainingData> => {
  const { data, validation, seq, batch, seed, shuffle, packing } = given;
  const options = { sequenceLength: seq, vocabSize: model.config.vocabSize };
  const { training, heldOut } = await splitRecords(data, validation);
  const { examples, report } = encodeRecords(training, model.tokenizer, options);
  return {
    examples: packing ? packExamples(examples, seq) : examples,
    report,
    padding: measurePadding(examples, { batchSize: batch, sequenceLength: seq, seed, shuffle }),
    validation: heldOut && encodeRecords(heldOut, model.tokenizer, { ...options, shortText: 'keep' }),
  };
};

const splitRecords = async (
  data: readonly string[],
  validation: number | string | undefined,
): Promise<{ training: DataRecord[]; heldOut: DataRecord[] | undefined }> => {
  const records = await readRecords(data);
  if (validation === undefined) return { training: records, heldOut: undefined };
  if (typeof validation === 'string') return { training: records, heldOut: await readRecords([validation]) };
  const { training, heldOut } = splitHeldOut(records, validation);
  if (training.length === 0 || heldOut.length === 0) {
    throw new WeftError(
      'WEFT_USAGE',
      `--validation ${validation} holds back ${heldOut.length} of ${records.length} records; name a file, or another share`,
      { records: records.length, heldOut: heldOut.length },
    );
  }
  return { training, heldOut };
};
