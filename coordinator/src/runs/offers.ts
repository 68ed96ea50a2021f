import { Factor, OfferKind, RoundOfferSchema, type Envelope } from '@weft/proto';
import { domains, runSpecBytes, sealEnvelope, type TrainedFactor } from '@weft/shared';
import type { RunState } from '../round/index.ts';
import type { BlobInfo } from '../store/events.ts';
import type { RunContext } from './run-context.ts';

export const toProtoFactor: Readonly<Record<TrainedFactor, Factor>> = { A: Factor.A, B: Factor.B, both: Factor.BOTH };

/** The adapter's file, as messages name it. */
export const adapterRef = ({ sha256, sizeBytes }: BlobInfo) => ({
  name: 'adapter_model.safetensors',
  sha256,
  sizeBytes: BigInt(sizeBytes),
});

/** What a node is asked to do, signed under a domain of its own: it is evidence. */
export function sealOffer(context: RunContext, state: RunState, work: 'train' | 'evaluate'): Envelope {
  const { spec, runId, round, adapter, layoutSha256, clipNormL2, deadlineAt, factor } = state;
  const model = context.models.get(spec.baseModel.sha256);
  return sealEnvelope(
    domains.roundOffer,
    RoundOfferSchema,
    {
      federationId: context.federationId,
      runId,
      round,
      kind: work === 'train' ? OfferKind.TRAIN : OfferKind.EVALUATE,
      runSpec: runSpecBytes(spec),
      baseModelSha256: model.sha256,
      baseModelFiles: model.files.map(({ name, sha256, sizeBytes }) => ({
        name,
        sha256,
        sizeBytes: BigInt(sizeBytes),
      })),
      layoutSha256,
      adapter: adapterRef(adapter),
      factor: toProtoFactor[factor],
      batchSeed: BigInt(spec.seed),
      deadlineMs: BigInt(deadlineAt),
      clipNormL2,
    },
    context.identity,
  );
}
