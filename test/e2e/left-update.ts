import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { createPendingUpdates } from '@weft/node-agent';
import { Factor, UpdateSchema } from '@weft/proto';
import {
  createAdapterLayout,
  createIdentity,
  createSeededRandom,
  domains,
  factorSize,
  payloadOf,
  privacy,
  quantizeUpdate,
  sealEnvelope,
  sha256,
  updateEncoding,
  type RunDetailView,
} from '@weft/shared';
import { tinyModelConfig } from './tiny-model.ts';

/**
 * An update as a node keeps it between training and sending, drawn instead of trained: an agent that finds it at its start
 * says that it is ready. So many trainings would take minutes.
 * @returns the update in the clear
 */
export async function leaveUpdate(
  { home, nodeId }: { home: string; nodeId: string },
  run: RunDetailView,
): Promise<Uint8Array> {
  const { spec } = run;
  const layout = createAdapterLayout(tinyModelConfig, spec.adapter);
  const values = factorSize(layout, 'B');
  const encoding = updateEncoding(spec, values);
  const random = createSeededRandom(nodeId);
  const delta = Float32Array.from({ length: values }, () => random.uniform() - 0.5);
  const weight = spec.aggregation.weighting === 'uniform' ? 1 : 1 + random.integer(1000);
  const { clipNormL2, weightCap } = encoding.offered;
  const rotationSeed = privacy.rotationSeed(run.id, 0);
  const quantized = quantizeUpdate(delta, encoding.grid, { clipNormL2, weight, weightCap, rotationSeed, random })!;
  const payload = payloadOf(encoding, quantized, { weight });
  const body = create(UpdateSchema, {
    runId: run.id,
    round: 0,
    nodeId,
    baseModelSha256: spec.baseModel.sha256,
    layoutSha256: layout.sha256,
    previousAdapterSha256: run.adapterSha256!,
    factor: Factor.B,
    payloadSha256: sha256(payload),
    payloadBytes: BigInt(payload.length),
    ringBits: encoding.offered.bits,
    values: BigInt(values),
    weight: BigInt(weight),
  });
  const { identity } = createIdentity(await readFile(join(home, 'identity.seed')));
  const update = sealEnvelope(domains.update, UpdateSchema, body, identity);
  const kept = { update, runName: spec.name, spec, normL2: quantized.normL2, trainingMs: 1, clipNormL2 };
  await createPendingUpdates(join(home, 'pending')).save(kept, payload);
  return payload;
}
