import { WeftError, type AdapterLayout, type GateScore, type RunSpec, type Sha256 } from '@weft/shared';
import type { RunContext } from './run-context.ts';

/** What the spec's gate wants to know of an adapter, from the files that lie at the coordinator alone. */
export function scoreAdapter(
  { models, blobs, scorer, cacheDir }: RunContext,
  { baseModel, evaluation: { gate }, training: { sequenceLength, batchSize } }: RunSpec,
  layout: AdapterLayout,
  adapterSha256: Sha256,
  signal: AbortSignal,
): Promise<GateScore> {
  if (gate === undefined) throw new WeftError('WEFT_INTERNAL', 'an adapter is to be scored in a run without a gate');
  const { path: modelPath, sha256: modelSha256 } = models.get(baseModel.sha256);
  const job = {
    modelPath,
    modelSha256,
    cacheDir,
    layout,
    adapterFile: blobs.adapters.path(adapterSha256),
    dataFile: blobs.gateData.path(gate.dataSha256),
    format: gate.format,
    sequenceLength,
    batchSize,
  };
  return scorer.score(job, signal);
}
