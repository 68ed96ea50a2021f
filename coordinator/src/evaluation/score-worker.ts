import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import process from 'node:process';
import { toWeftError, WeftError } from '@weft/shared';
import { encodeRecords, evaluate, openModel, readAdapterValues } from '@weft/trainer';
import { readGateRecords } from './gate-data.ts';
import { toAnswer, type ScoringAnswer, type ScoringJob } from './adapter-scorer.ts';

/** A process that takes one job, answers with its score and ends. It also ends when the coordinator does. */
process.once('disconnect', () => process.exit());
// Sessions come first.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

async function score(job: ScoringJob): Promise<ScoringAnswer> {
  let tokens = 0;
  try {
    const model = await openModel(job.modelPath, { cacheDir: job.cacheDir });
    if (model.sha256 !== job.modelSha256) {
      throw new WeftError(
        'WEFT_MODEL_NOT_REGISTERED',
        `the files of base model ${job.modelSha256} hash to ${model.sha256} now`,
      );
    }
    const { examples, report } = encodeRecords(await readGateRecords(job.dataFile, job.format), model.tokenizer, {
      sequenceLength: job.sequenceLength,
      vocabSize: model.config.vocabSize,
      shortText: 'keep',
    });
    tokens = report.countedTokens;
    const adapter = await readAdapterValues(job.adapterFile, job.layout);
    const { layout, batchSize } = job;
    return await evaluate({ model, layout, adapter, examples, batchSize, device: 'cpu' });
  } catch (error) {
    return toAnswer(toWeftError(error), tokens);
  }
}

const [job] = (await once(process, 'message')) as [ScoringJob];
const answer = await score(job);
process.send?.(answer, () => process.disconnect());
