import type { NodeMessage, OpenRuns } from '@weft/proto';
import {
  createAdapterLayout,
  factorSize,
  hashRunSpec,
  isSha256,
  largestBoost,
  organisationIn,
  parseRunSpec,
  toFederationId,
  trainedFactor,
  updateEncoding,
  WeftError,
  type ExportView,
  type GateDataView,
  type Identity,
  type NodeId,
  type RollbackRequest,
  type RunDetailView,
  type RunId,
  type RunView,
  type SeededRandom,
} from '@weft/shared';
import { initAdapter } from '@weft/trainer';
import { pino, type Logger } from 'pino';
import { encodeAdapter } from '../adapters/adapter-file.ts';
import { createAggregator } from '../aggregation/aggregator.ts';
import { createAdapterScorer, type AdapterScorer } from '../evaluation/adapter-scorer.ts';
import { checkGateData } from '../evaluation/gate-data.ts';
import type { NodeGateway, RunInbox } from '../federation/ports.ts';
import type { PublishedRounds } from '../log/published-rounds.ts';
import { noLog } from '../log/transparency-log.ts';
import type { Models } from '../models/models.ts';
import { defaultTiming, type RoundTiming } from '../round/index.ts';
import type { StoredEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import { privacyView } from '../views/privacy-view.ts';
import { createRunViews } from '../views/run-views.ts';
import { systemClock, type Clock } from './clock.ts';
import { endedFor } from './ended.ts';
import { exportRun } from './export-run.ts';
import { toInputs } from './node-says.ts';
import type { OnPoint } from './points.ts';
import { createPublisher, noPublisher } from './publisher.ts';
import { Run } from './run.ts';
import type { RunBlobs } from './run-blobs.ts';
import type { RunContext } from './run-context.ts';
import { systemRandom } from './system-random.ts';
import { createUploads, removePartials } from './uploads.ts';

export interface RunsOptions {
  readonly store: Store;
  readonly blobs: RunBlobs;
  readonly identity: Identity;
  readonly gateway: NodeGateway;
  readonly registry: RunContext['registry'];
  readonly models: Models;
  /** What offers name and prove; an empty log without it. */
  readonly transparencyLog?: RunContext['transparencyLog'];
  /** Where specs and published rounds lie beside the log; nothing is published without it. */
  readonly published?: PublishedRounds;
  readonly scorer?: AdapterScorer;
  readonly cacheDir?: string | undefined;
  readonly watchers?: RunContext['watchers'];
  readonly clock?: Clock;
  readonly random?: SeededRandom;
  readonly timing?: Partial<RoundTiming>;
  readonly logger?: Logger;
  readonly onPoint?: OnPoint;
}

export interface Runs extends RunInbox {
  /** Keeps what the gate of a run is to score with. @returns its hash */
  takeGateData(bytes: Uint8Array): Promise<GateDataView>;
  /** @param spec parsed YAML or JSON. @throws WEFT_SPEC_INVALID, WEFT_MODEL_NOT_REGISTERED, WEFT_GATE_DATA_MISSING */
  create(spec: unknown): Promise<RunView>;
  /** One run at a time trains. @throws WEFT_RUN_UNKNOWN, WEFT_RUN_STATE, as the next three do */
  start(id: string): RunView;
  pause(id: string): RunView;
  resume(id: string): RunView;
  /** For good. */
  stop(id: string): RunView;
  /** To an earlier version of its adapter. @throws WEFT_RUN_VERSION_UNKNOWN, WEFT_RUN_STATE, WEFT_BLOB_MISSING */
  rollBack(id: string, request: RollbackRequest): Promise<RunView>;
  list(): readonly RunView[];
  show(id: string): RunDetailView;
  /** The newest adapter version in the PEFT layout, with its signed statement. */
  export(id: string): Promise<ExportView>;
  /** Ends timers and threads; the event table knows how to go on. */
  close(): Promise<void>;
}

/** Runs that one message may ask about. */
const maxAsked = 64;

/** Opens all runs of the home as their rows left them: a round that was under way goes on. */
export async function createRuns(options: RunsOptions): Promise<Runs> {
  const { store, blobs, gateway, models } = options;
  const aggregator = createAggregator();
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? pino({ level: 'silent' });
  const onPoint = options.onPoint ?? (() => {});
  const publisher = options.published
    ? createPublisher({ store, blobs, clock, logger, onPoint }, options.published)
    : noPublisher;
  const context: RunContext = {
    ...options,
    publisher,
    federationId: toFederationId(options.identity.publicKey),
    transparencyLog: options.transparencyLog ?? noLog,
    watchers: options.watchers,
    clock,
    random: options.random ?? systemRandom,
    timing: { ...defaultTiming, ...options.timing },
    logger,
    onPoint,
    aggregator,
    scorer: options.scorer ?? createAdapterScorer(),
  };
  const runs = replayRuns(context);
  const views = createRunViews(store);
  const active = (): Run[] => [...runs.values()].filter((run) => !run.hasEnded);
  const uploads = createUploads(context, (id) => runs.get(id));

  for (const { id, state } of runs.values()) {
    await publisher.publishSpec(state.spec);
    await publisher.recover(id, state.spec);
  }
  const needed = new Set(active().flatMap((run) => run.neededUpdates()));
  for (const sha256 of await blobs.updates.list()) if (!needed.has(sha256)) await blobs.updates.remove(sha256);
  await removePartials(context, (name) => active().some((run) => run.needsPartial(name)));

  const unsubscribe = store.subscribe(({ kind, nodeId }) => {
    if (kind === 'node.revoked' && nodeId !== undefined)
      for (const run of active()) run.dispatch({ kind: 'revoked', nodeId });
  });

  const get = (id: string): Run => {
    const run = runs.get(id);
    if (run === undefined) throw new WeftError('WEFT_RUN_UNKNOWN', `there is no run ${id.slice(0, 40)}`);
    return run;
  };
  const requireAlone = (id: string): void => {
    const other = active().find((run) => run.id !== id && run.state.lifecycle === 'running');
    if (other !== undefined) {
      throw new WeftError(
        'WEFT_RUN_STATE',
        `run ${other.id} is running; pause or stop it first, one run trains at a time`,
        { runId: other.id },
      );
    }
  };
  /** To a node that was away for it. */
  const tellEnds = (nodeId: NodeId, { offered }: OpenRuns): void => {
    if (offered.length > maxAsked)
      throw new WeftError(
        'WEFT_MESSAGE_MALFORMED',
        `a node asks about ${offered.length} runs, at most ${maxAsked} are answered at once`,
      );
    for (const { runId, round } of offered) {
      const run = runs.get(runId);
      const ended = run?.wasOfferedTo(nodeId) ? endedFor(store, run.state, round) : undefined;
      if (ended !== undefined) gateway.send(nodeId, ended);
    }
  };
  const tell = (id: string, kind: 'start' | 'pause' | 'resume' | 'stop'): RunView => {
    const run = get(id);
    if (kind === 'start' || kind === 'resume') requireAlone(id);
    run.dispatch({ kind });
    return views.run(run.id);
  };

  for (const run of active()) run.dispatch({ kind: 'recover' });
  // The process before may have died between a revocation and what follows from it.
  for (const { nodeId } of store.read({ kinds: ['node.revoked'] }))
    for (const run of active())
      if (run.state.participants.has(nodeId!)) run.dispatch({ kind: 'revoked', nodeId: nodeId! });

  return {
    takeGateData: (bytes) => blobs.gateData.put(bytes),
    async create(input) {
      const spec = parseRunSpec(input);
      const layout = createAdapterLayout(models.get(spec.baseModel.sha256).dimensions, spec.adapter);
      // Refuses noise that no scale fits, before any node is asked.
      for (const round of [0, 1]) updateEncoding(spec, factorSize(layout, trainedFactor(spec.adapter.schedule, round)));
      if (spec.evaluation.gate) await checkGateData(blobs.gateData, spec.evaluation.gate);
      const adapter = await blobs.adapters.put(
        await encodeAdapter(layout, initAdapter(layout, spec.seed), spec.baseModel),
      );
      // The leaf Offer names it by hash.
      await publisher.publishSpec(spec);
      const created = store.append({
        kind: 'run.created',
        runId: createRunId(context.random),
        data: { spec, specSha256: hashRunSpec(spec), layoutSha256: layout.sha256, adapter },
      });
      const run = new Run(context, created);
      runs.set(run.id, run);
      for (const nodeId of gateway.connected()) run.dispatch({ kind: 'connected', nodeId });
      return views.run(run.id);
    },
    start: (id) => tell(id, 'start'),
    pause: (id) => tell(id, 'pause'),
    resume: (id) => tell(id, 'resume'),
    stop: (id) => tell(id, 'stop'),
    async rollBack(id, { to, reason }) {
      const run = get(id);
      const isHere = isSha256(to) && (await blobs.adapters.sizeBytes(to)) !== undefined;
      if (!isHere && run.state.versions.some(({ adapter }) => adapter.sha256 === to))
        throw new WeftError('WEFT_BLOB_MISSING', `the adapter ${to} of run ${run.id} is not in the blobs of this home`);
      run.dispatch({ kind: 'rollBack', to, ...(reason !== undefined && { reason }) });
      return views.run(run.id);
    },
    list: () => views.runs(),
    show(id) {
      const { layout, state } = get(id);
      const detail = views.detail(state.runId, state.bytesDown);
      const { spec } = detail;
      const boost = largestBoost(spec, factorSize(layout, trainedFactor(spec.adapter.schedule, 0)));
      return { ...detail, boost, privacy: privacyView(detail, layout) };
    },
    export: (id) => exportRun(context, get(id)),

    nodeConnected(nodeId) {
      for (const run of active()) run.dispatch({ kind: 'connected', nodeId });
    },
    nodeDisconnected(nodeId) {
      context.watchers?.gone(nodeId);
      for (const run of active()) run.dispatch({ kind: 'disconnected', nodeId });
    },
    async receive(nodeId: NodeId, said: NodeMessage['kind']) {
      if (said.case === 'logSeen') {
        const answer = context.watchers?.take(nodeId, said.value);
        if (answer?.astray) for (const run of active()) run.offerAgain(nodeId);
      }
      if (said.case === 'openRuns') tellEnds(nodeId, said.value);
      if (said.case === 'ready') context.watchers?.told(nodeId, Number(said.value.logSize));
      const { runId, inputs } = toInputs(nodeId, said, {
        publicKey: context.registry.publicKey(nodeId),
        organisation: organisationIn(context.registry.endorsement(nodeId)),
      });
      // A sign of life is one for every run.
      const addressed = runId === undefined ? active() : [get(runId)];
      for (const run of addressed)
        for (const input of inputs) if (input.kind !== 'heard' || !run.hasEnded) run.dispatch(input);
    },
    async offeredBlob(nodeId, sha256) {
      if (!isSha256(sha256)) return undefined;
      for (const run of runs.values()) {
        if (run.mayDownload(nodeId, sha256)) {
          const sizeBytes = await blobs.adapters.sizeBytes(sha256);
          if (sizeBytes !== undefined) return { path: blobs.adapters.path(sha256), sizeBytes };
        }
        if (run.hasEnded || !run.wasOfferedTo(nodeId)) continue;
        const file = await models.file(run.state.spec.baseModel.sha256, sha256);
        if (file !== undefined) return file;
      }
      return undefined;
    },
    countDownload(nodeId, sizeBytes) {
      for (const run of active()) if (run.wasOfferedTo(nodeId)) run.dispatch({ kind: 'downloaded', nodeId, sizeBytes });
    },
    openUpload: (nodeId, update, offset) => uploads.open(nodeId, update, offset),
    uploadStatus: (nodeId, upload) => uploads.status(nodeId, upload),

    async close() {
      unsubscribe();
      publisher.close();
      views.close();
      await Promise.all([...runs.values()].map((run) => run.close()));
      await aggregator.close();
    },
  };
}

/** Folds the event table: every acknowledged update is in it, once. */
function replayRuns(context: RunContext): Map<string, Run> {
  const runs = new Map<string, Run>();
  const keyOf = ({ runId, round }: StoredEvent): string => `${runId}/${round}`;
  // What came of their sessions stands in the row of the commit: nobody asks them anything any more.
  const committed = new Set(context.store.read({ kinds: ['round.committed'] }).map(keyOf));
  for (const event of context.store.read()) {
    if (event.runId === undefined) continue;
    if ((event.kind === 'secagg.opened' || event.kind === 'secagg.moved') && committed.has(keyOf(event))) continue;
    if (event.kind === 'run.created') runs.set(event.runId, new Run(context, event));
    else runs.get(event.runId)?.replay(event);
  }
  return runs;
}

const createRunId = (random: SeededRandom): RunId =>
  `r_${Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0')).join('')}` as RunId;
