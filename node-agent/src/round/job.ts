import { create } from '@bufbuild/protobuf';
import { Factor, UpdateSchema, type Evaluation, type Ready } from '@weft/proto';
import {
  createAdapterLayout,
  domains,
  factorSize,
  sealEnvelope,
  sha256,
  WeftError,
  type AdapterLayout,
  type Identity,
  type NodeId,
  type TrainedFactor,
} from '@weft/shared';
import { predictTrainingMemory, readAdapterValues, type Device, type Model } from '@weft/trainer';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import type { BaseModels } from '../model/base-models.ts';
import type { NodeEvent } from '../events.ts';
import type { LogWatch } from '../log/log-watch.ts';
import type { PrivacyLedger } from '../ledger/privacy-ledger.ts';
import { refusalOfMemory, refusalOfRows } from '../policy/local-rules.ts';
import { allowedMetrics, type Metric } from '../policy/metrics.ts';
import type { Policy } from '../policy/policy.ts';
import { refuse } from '../policy/refuse.ts';
import type { Connection } from '../session/connection.ts';
import { downloadBlob } from '../transfer/download.ts';
import type { AnsweredRounds } from './answered-rounds.ts';
import { followClipNorm, refusalOfClipNorm } from './clip-norm.ts';
import { requireKnownAdapter } from './known-adapter.ts';
import type { LocalData, LocalExamples } from './local-data.ts';
import type { Offer } from './offer.ts';
import type { PendingUpdate, PendingUpdates } from './pending-updates.ts';
import { createProgressReport, type ProgressReport } from './progress-report.ts';
import { scoreAdapter } from './score-adapter.ts';
import { trainUpdate } from './train-update.ts';

/** What the work of a round needs of the node. */
export interface JobContext {
  readonly identity: Identity;
  readonly nodeId: NodeId;
  readonly connection: Connection;
  readonly models: BaseModels;
  readonly data: LocalData;
  readonly pending: PendingUpdates;
  readonly home: string;
  readonly cacheFolder: string;
  readonly threads: number;
  readonly device: Device;
  readonly ledger: PrivacyLedger;
  readonly logWatch: LogWatch;
  readonly answered: AnsweredRounds;
  readonly policy: Policy;
  readonly emit: (event: NodeEvent) => void;
}

export interface JobSteps {
  readonly onEvaluated: (evaluation: Evaluation, seconds: number) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface WorkDone {
  /** On disk, so it may be promised. */
  readonly update: PendingUpdate;
  /** Where it was trained just now, and not found from before a restart. */
  readonly trained?: Extract<NodeEvent, { event: 'trained' }>;
}

/**
 * The work of one offer up to the moment when an update waits on disk: model, adapter, score, training, quantising.
 * @returns undefined where only a score was asked for
 */
export async function workOnOffer(
  offer: Offer,
  context: JobContext,
  { onEvaluated, signal }: JobSteps,
): Promise<WorkDone | undefined> {
  const allowed = allowedMetrics(context.policy, offer.spec);
  const mayScore = allowed.has('held-out-loss');
  if (offer.kind === 'evaluate' && !mayScore)
    refuse({ rule: 'metrics', why: 'a score is asked for, and the policy lets no held-out-loss leave' });
  const report = createProgressReport(offer, context);
  const model = await context.models.open({
    sha256: offer.spec.baseModel.sha256,
    files: offer.baseModelFiles,
    download: {
      connection: context.connection,
      signal,
      onProgress: (done) => report('downloading', done, sum(offer.baseModelFiles)),
    },
  });
  const layout = createAdapterLayout(model.config, offer.spec.adapter);
  if (layout.sha256 !== offer.layoutSha256) {
    throw new WeftError(
      'WEFT_NODE_OFFER_INVALID',
      `the run spec gives the layout ${layout.sha256}, the offer names ${offer.layoutSha256}`,
    );
  }
  requireMemory(offer, model, layout, context.policy);
  const { spec, clipNormL2 } = offer;
  if (offer.kind === 'train') {
    refuse(refusalOfClipNorm(context.policy, clipNormL2));
    await followClipNorm(context.home, offer);
  }
  // a score is a release, too
  await context.ledger.admit({ spec, values: factorSize(layout, offer.factor), clipNormL2 });
  const adapter = await fetchAdapter(offer, layout, context, report, signal);
  await requireKnownAdapter(offer, { layout, adapter }, context.logWatch.adapters, signal);
  const examples = await context.data.examples(model, offer.spec, signal);
  if (offer.kind === 'train') refuse(refusalOfRows(context.policy, examples.training.length));
  const scored = mayScore
    ? await scoreAdapter({ offer, model, layout, adapter, examples }, context, report, signal)
    : undefined;
  if (scored !== undefined) await onEvaluated(scored.body, scored.seconds);
  if (offer.kind === 'evaluate') return undefined;
  const kept = await context.pending.find(offer.runId, offer.round);
  if (kept !== undefined && answers(kept, offer)) return { update: kept };
  return prepareUpdate(offer, model, layout, adapter, examples, context, report, signal);
}

/** Foretold from the model's description, before anything of it is computed. */
function requireMemory(offer: Offer, model: Model, layout: AdapterLayout, policy: Policy): void {
  if (policy.memoryMiB === 'any') return;
  const { batchSize, sequenceLength } = offer.spec.training;
  const { residentBytes } = predictTrainingMemory({ model, layout, trains: offer.factor, batchSize, sequenceLength });
  refuse(refusalOfMemory(policy, residentBytes));
}

async function fetchAdapter(
  offer: Offer,
  layout: AdapterLayout,
  context: JobContext,
  report: ProgressReport,
  signal: AbortSignal,
): Promise<Float32Array> {
  // one file at a time: the next round brings another, and the coordinator has them all
  const path = join(context.cacheFolder, 'adapters', `${offer.adapter.sha256}.safetensors`);
  try {
    await downloadBlob(offer.adapter, path, {
      connection: context.connection,
      signal,
      onProgress: (done) => report('downloading', done, offer.adapter.sizeBytes),
    });
    return await readAdapterValues(path, layout);
  } finally {
    await rm(path, { force: true });
  }
}

async function prepareUpdate(
  offer: Offer,
  model: Model,
  layout: AdapterLayout,
  adapter: Float32Array,
  { training }: LocalExamples,
  context: JobContext,
  report: ProgressReport,
  signal: AbortSignal,
): Promise<WorkDone> {
  const { runId, round, factor, spec } = offer;
  const { nodeId, threads, device, identity, pending, policy } = context;
  const startedMs = performance.now();
  const trained = await trainUpdate({
    offer,
    nodeId,
    model,
    layout,
    adapter,
    threads,
    device,
    signal,
    examples: training,
    onStep: ({ step, steps, loss, tokensPerSecond }) => report('training', step, steps, { loss, tokensPerSecond }),
  });
  const trainingMs = Math.round(performance.now() - startedMs);
  const { payload, values, ringBits, weight, normL2, clipped, saturatedValues } = trained;
  const update = sealEnvelope(
    domains.update,
    UpdateSchema,
    create(UpdateSchema, {
      runId,
      round,
      nodeId,
      baseModelSha256: model.sha256,
      layoutSha256: layout.sha256,
      previousAdapterSha256: offer.adapter.sha256,
      factor: factors[factor],
      payloadSha256: sha256(payload),
      payloadBytes: BigInt(payload.length),
      ringBits,
      values: BigInt(values),
      weight: BigInt(weight),
      ...(allowedMetrics(policy, spec).has('clipping') && { clipped, saturatedValues: BigInt(saturatedValues) }),
    }),
    identity,
  );
  const kept = await pending.save(
    { update, runName: spec.name, spec, clipNormL2: offer.clipNormL2, normL2, trainingMs },
    payload,
  );
  const trainedEvent = {
    event: 'trained',
    runId,
    round,
    weight,
    normL2,
    clipped,
    saturatedValues,
    examples: training.length,
    payloadBytes: payload.length,
    seconds: trainingMs / 1000,
  } as const;
  return { update: kept, trained: trainedEvent };
}

const answers = (
  { body, clipNormL2 }: PendingUpdate,
  { spec, layoutSha256, adapter, factor, clipNormL2: offered }: Offer,
): boolean =>
  clipNormL2 === offered &&
  body.baseModelSha256 === spec.baseModel.sha256 &&
  body.layoutSha256 === layoutSha256 &&
  body.previousAdapterSha256 === adapter.sha256 &&
  body.factor === factors[factor];

/** Under secure aggregation not even the hash of the update leaves: it could confirm a guess. */
const hiddenHash = '0'.repeat(64);

/**
 * @param logSize entries of the federation's log that this node has seen
 * @param beaconCommitment nothing where the cohort is never cut into shards
 */
export const readyOf = (
  { body, spec, trainingMs }: PendingUpdate,
  logSize: number,
  allowed: ReadonlySet<Metric>,
  beaconCommitment: Uint8Array,
): Ready => ({
  $typeName: 'weft.v1.Ready',
  runId: body.runId,
  round: body.round,
  payloadSha256: spec.aggregation.mode === 'secure' ? hiddenHash : body.payloadSha256,
  payloadBytes: body.payloadBytes,
  trainingMs: allowed.has('training-time') ? BigInt(trainingMs) : 0n,
  logSize: BigInt(logSize),
  beaconCommitment,
});

const factors: Readonly<Record<TrainedFactor, Factor>> = { A: Factor.A, B: Factor.B, both: Factor.BOTH };

const sum = (files: Offer['baseModelFiles']): number => files.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
