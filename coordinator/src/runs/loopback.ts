import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSeededRandom, isWeftError, type NodeId, type RunDetailView } from '@weft/shared';
import type Database from 'better-sqlite3';
import type { AdapterScorer } from '../evaluation/adapter-scorer.ts';
import { createModels } from '../models/models.ts';
import type { RoundTiming } from '../round/index.ts';
import type { StoredEvent } from '../store/events.ts';
import { createStore, openStore, type Store } from '../store/store.ts';
import { createManualClock, type ManualClock } from './clock.ts';
import { coordinatorIdentity, LoopbackNode, loopbackModel, loopbackSpec } from './loopback-node.ts';
import type { OnPoint } from './points.ts';
import { openRunBlobs } from './run-blobs.ts';
import { createRuns, type Runs } from './runs.ts';

/** A coordinator's runs and their nodes in one process, without a network between them: for tests. */
export interface Loopback {
  readonly home: string;
  readonly store: Store;
  readonly runs: Runs;
  readonly clock: ManualClock;
  readonly nodes: readonly LoopbackNode[];
  /** Resolves once nothing is on its way any more. */
  settle(): Promise<void>;
  /** Lets a node in; the runs hear of it. */
  connect(node: LoopbackNode): void;
  disconnect(node: LoopbackNode): void;
  close(): Promise<void>;
}

export async function openLoopback(
  options: {
    home?: string;
    nodes?: number;
    onPoint?: OnPoint;
    timing?: Partial<RoundTiming>;
    automatic?: boolean;
    database?: Database.Database;
    scorer?: AdapterScorer;
  } = {},
): Promise<Loopback> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'weft-loopback-')));
  const clock = createManualClock();
  const store =
    options.database === undefined
      ? openStore(home, { now: () => clock.now() })
      : createStore(options.database, () => clock.now());
  if (store.read({ kinds: ['model.registered'] }).length === 0)
    store.append({ kind: 'model.registered', data: loopbackModel });
  const connected = new Set<NodeId>();
  let onTheirWay: Promise<unknown>[] = [];
  const nodes = Array.from({ length: options.nodes ?? 3 }, (_, i) => new LoopbackNode(i, home));
  const runs = await createRuns({
    store,
    blobs: await openRunBlobs(home),
    identity: coordinatorIdentity,
    models: createModels({ store }),
    scorer: options.scorer ?? scorerByHash,
    clock,
    random: createSeededRandom('loopback'),
    ...(options.timing && { timing: options.timing }),
    ...(options.onPoint && { onPoint: options.onPoint }),
    registry: {
      publicKey: (id) => nodes.find((node) => node.id === id)?.identity.publicKey,
      endorsement: () => new Uint8Array(),
      approved: () => true,
    },
    gateway: {
      connected: () => [...connected],
      send(nodeId, told, own) {
        const node = nodes.find(({ id }) => id === nodeId);
        if (node === undefined || !connected.has(nodeId)) return false;
        const message = own ? ({ ...told, value: { ...told.value, ...own.value } } as typeof told) : told;
        node.heard.push(message);
        if (options.automatic ?? true) onTheirWay.push(Promise.resolve().then(() => node.follow(message)));
        return true;
      },
      end: (nodeId) => void connected.delete(nodeId),
    },
  });
  for (const node of nodes) node.runs = runs;
  return {
    home,
    store,
    runs,
    clock,
    nodes,
    async settle() {
      // Aggregation runs beside the messages: the next row of the table tells when it is through.
      for (let quiet = 0; quiet < 3;) {
        const waiting = onTheirWay;
        onTheirWay = [];
        await Promise.all(waiting);
        const busy = runs
          .list()
          .some(({ id, phase, state }) => state === 'running' && (phase === 'committing' || isGated(runs.show(id))));
        if (busy) await new Promise<void>((resolve) => void store.subscribe(() => resolve()));
        await new Promise((resolve) => setImmediate(resolve));
        quiet = busy || onTheirWay.length > 0 ? 0 : quiet + 1;
      }
    },
    connect(node) {
      connected.add(node.id);
      runs.nodeConnected(node.id);
    },
    disconnect(node) {
      connected.delete(node.id);
      runs.nodeDisconnected(node.id);
    },
    async close() {
      await runs.close();
      store.close();
      if (options.home === undefined) await rm(home, { recursive: true, force: true });
    },
  };
}

/** Not the evaluation after the last round, which is a matter of messages. */
const isGated = ({ phase, roundsDone }: RunDetailView): boolean =>
  phase === 'evaluating' && roundsDone.at(-1)?.endedAt === null;

/** Losses that nobody computed, near each other: the same for the same adapter, since there is no base model to score with. */
const scorerByHash: AdapterScorer = {
  score: async ({ adapterFile }) => ({ lossSum: 2000 + parseInt(adapterFile.slice(-2), 16) / 100, tokens: 1000 }),
};

/** A run whose nodes wait for the test to tell them what to do, in its first round. */
export async function beginByHand(
  loopback: Loopback,
  spec: Parameters<typeof loopbackSpec>[0] = {},
): Promise<{ runId: string; nodes: readonly LoopbackNode[] }> {
  const { id } = await loopback.runs.create(loopbackSpec(spec));
  for (const node of loopback.nodes) loopback.connect(node);
  loopback.runs.start(id);
  return { runId: id, nodes: loopback.nodes };
}

/** The code of the refusal. */
export const refusalOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing was refused',
    (error: unknown) => (isWeftError(error) ? error.code : String(error)),
  );

export const eventsOf = <K extends StoredEvent['kind']>({ store }: Loopback, kind: K): StoredEvent<K>[] =>
  store.read({ kinds: [kind] });
