import { Factor, type Receipt } from '@weft/proto';
import type { TrainedFactor } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import type { Federation } from '../home/federation-file.ts';
import { recordSent } from '../home/sent-record.ts';
import type { Policy } from '../policy/policy.ts';
import type { Cost } from '../ledger/privacy-ledger.ts';
import type { Connection } from '../session/connection.ts';
import { uploadUpdate } from '../transfer/upload.ts';
import type { PendingUpdate } from './pending-updates.ts';
import { createProgressReport } from './progress-report.ts';

export interface SendContext {
  readonly home: string;
  readonly connection: Connection;
  readonly federation: () => Federation;
  readonly emit: (event: NodeEvent) => void;
  readonly policy: Policy;
}

/**
 * Sends a kept update until its receipt is here, and writes into the operator's record what left.
 * @param cost what the ledger was charged for it
 * @returns the receipt, and seconds that it took
 */
export async function sendUpdate(
  update: PendingUpdate,
  { home, connection, federation, emit, policy }: SendContext,
  signal: AbortSignal,
  cost?: Cost,
): Promise<{ readonly receipt: Receipt; readonly seconds: number }> {
  const { body } = update;
  const { runId, round, payloadSha256 } = body;
  const payloadBytes = Number(body.payloadBytes);
  const startedMs = performance.now();
  const report = createProgressReport({ runId, round, spec: update.spec }, { connection, emit, policy });
  const receipt = await uploadUpdate(update.update, update.payloadPath, {
    connection,
    federation: federation(),
    signal,
    onProgress: (done) => report('uploading', done, payloadBytes),
  });
  const seconds = (performance.now() - startedMs) / 1000;
  const { said } = await recordSent(home, {
    kind: 'update',
    runId,
    runName: update.runName,
    round,
    baseModelSha256: body.baseModelSha256,
    layoutSha256: body.layoutSha256,
    previousAdapterSha256: body.previousAdapterSha256,
    factor: nameOf(body.factor),
    payloadSha256,
    payloadBytes,
    values: Number(body.values),
    weight: Number(body.weight),
    weighting: update.spec.aggregation.weighting,
    mode: update.spec.aggregation.mode,
    normL2: update.normL2,
    // what the operator may know and the coordinator perhaps not
    clipped: update.normL2 > update.clipNormL2,
    saturatedValues: Number(body.saturatedValues),
    trainingSeconds: update.trainingMs / 1000,
    updateSha256: receipt.updateSha256,
    receiptAtMs: Number(receipt.acceptedAtMs),
    ...(cost && { privacy: cost }),
  });
  emit({ event: 'sent', runId, round, said, payloadBytes, payloadSha256, seconds });
  return { receipt, seconds };
}

const nameOf = (factor: Factor): TrainedFactor => (factor === Factor.A ? 'A' : factor === Factor.B ? 'B' : 'both');
