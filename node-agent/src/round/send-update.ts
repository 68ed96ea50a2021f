import { Factor, type Receipt } from '@weft/proto';
import { sha256, type TrainedFactor } from '@weft/shared';
import type { NodeEvent } from '../events.ts';
import type { Federation } from '../home/federation-file.ts';
import { readSent, recordSent, type Sent, type SentFacts } from '../home/sent-record.ts';
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
 * Writes into the operator's record what is about to leave, then sends a kept update until its receipt is here.
 * @param cost what the ledger was charged for it
 * @returns the receipt, and seconds that it took
 */
export async function sendUpdate(
  update: PendingUpdate,
  { home, connection, federation, emit, policy }: SendContext,
  signal: AbortSignal,
  cost?: Cost,
): Promise<{ readonly receipt: Receipt; readonly seconds: number }> {
  const { runId, round, payloadSha256 } = update.body;
  const payloadBytes = Number(update.body.payloadBytes);
  const { said } = await recordOnce(home, factsOf(update, cost));
  const startedMs = performance.now();
  const report = createProgressReport({ runId, round, spec: update.spec }, { connection, emit, policy });
  const receipt = await uploadUpdate(update.update, update.payloadPath, {
    connection,
    federation: federation(),
    signal,
    onProgress: (done) => report('uploading', done, payloadBytes),
  });
  const seconds = (performance.now() - startedMs) / 1000;
  emit({ event: 'sent', runId, round, said, payloadBytes, payloadSha256, seconds });
  return { receipt, seconds };
}

type UpdateFacts = Extract<SentFacts, { kind: 'update' }>;

/** A process before this one may have died over the same bytes. */
async function recordOnce(home: string, facts: UpdateFacts): Promise<Sent> {
  const known = (await readSent(home)).find(
    (sent) => sent.kind === 'update' && sent.updateSha256 === facts.updateSha256,
  );
  return known ?? recordSent(home, facts);
}

function factsOf({ update, body, ...kept }: PendingUpdate, cost: Cost | undefined): UpdateFacts {
  const { weighting, mode } = kept.spec.aggregation;
  return {
    kind: 'update',
    runId: body.runId,
    runName: kept.runName,
    round: body.round,
    baseModelSha256: body.baseModelSha256,
    layoutSha256: body.layoutSha256,
    previousAdapterSha256: body.previousAdapterSha256,
    factor: nameOf(body.factor),
    payloadSha256: body.payloadSha256,
    payloadBytes: Number(body.payloadBytes),
    values: Number(body.values),
    weight: Number(body.weight),
    weighting,
    mode,
    normL2: kept.normL2,
    // what the operator may know and the coordinator perhaps not
    clipped: kept.normL2 > kept.clipNormL2,
    saturatedValues: Number(body.saturatedValues),
    trainingSeconds: kept.trainingMs / 1000,
    updateSha256: sha256(update.body),
    ...(cost && { privacy: cost }),
  };
}

const nameOf = (factor: Factor): TrainedFactor => (factor === Factor.A ? 'A' : factor === Factor.B ? 'B' : 'both');
