import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initCoordinator, startCoordinator, type CoordinatorOptions, type RunningCoordinator } from '@weft/coordinator';
import {
  joinFederation,
  metricNames,
  nodeKey,
  startNode,
  type NodeAgent,
  type NodeEvent,
  type NodeOptions,
} from '@weft/node-agent';
import {
  endorse,
  parseInvite,
  toFederationId,
  type Identity,
  type InviteView,
  type RunDetailView,
  type RunSpecInput,
  type RunView,
} from '@weft/shared';
import { adminRequest } from '../admin-request.ts';
import { writeTinyModel } from './tiny-model.ts';

/** A node agent in this process, and everything that its operator was shown. */
export interface TestNode {
  readonly name: string;
  readonly home: string;
  readonly dataPath: string;
  readonly agent: NodeAgent;
  readonly events: NodeEvent[];
  /** The first event of this kind, past or future. */
  event<E extends NodeEvent['event']>(
    kind: E,
    matches?: (event: Extract<NodeEvent, { event: E }>) => boolean,
  ): Promise<Extract<NodeEvent, { event: E }>>;
  drain(): void;
}

/** A coordinator with real agents over TLS on this machine, and the admin's hand. */
export interface TestFederation {
  readonly folder: string;
  readonly modelPath: string;
  coordinator: RunningCoordinator;
  admin<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>;
  restart(changes?: Partial<CoordinatorOptions>): Promise<void>;
  join(
    name: string,
    text: string,
    options?: { autoApprove?: boolean; organisation?: Identity },
  ): Promise<{ home: string; dataPath: string; nodeId: string }>;
  startNode(name: string, place: { home: string; dataPath: string }, changes?: Partial<NodeOptions>): Promise<TestNode>;
  createRun(changes?: Partial<RunSpecInput>): Promise<RunView>;
  runUntil(runId: string, matches: (run: RunDetailView) => boolean): Promise<RunDetailView>;
  close(): Promise<void>;
}

const timing = { settleMs: 50, retryMs: 50, leaseMs: 20_000 };

export async function openFederation(changes: Partial<CoordinatorOptions> = {}): Promise<TestFederation> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-e2e-'));
  const coordinatorHome = join(folder, 'coordinator');
  const modelPath = join(folder, 'tiny-model');
  await writeTinyModel(modelPath, sentences('model', 400));
  await initCoordinator(coordinatorHome);
  const start = (port: number, more: Partial<CoordinatorOptions> = {}): Promise<RunningCoordinator> =>
    startCoordinator({
      home: coordinatorHome,
      grpcPort: port,
      httpPort: 0,
      logLevel: 'silent',
      timing,
      ...changes,
      ...more,
    });
  const token = await readFile(join(coordinatorHome, 'admin-token'), 'utf8');
  const nodes: TestNode[] = [];

  const federation: TestFederation = {
    folder,
    modelPath,
    coordinator: await start(0),
    admin: (method, path, body) => adminRequest({ httpUrl: federation.coordinator.httpUrl, token }, method, path, body),
    async restart(more) {
      const port = Number(federation.coordinator.grpcAddress.split(':').at(-1));
      await federation.coordinator.close();
      federation.coordinator = await start(port, more);
    },
    async join(name, text, { autoApprove = true, organisation } = {}) {
      const home = join(folder, name);
      const dataPath = join(folder, `${name}-diary.txt`);
      await writeFile(dataPath, text);
      const { invite } = await federation.admin<InviteView>('POST', '/api/invites', { autoApprove });
      const federationId = toFederationId(parseInvite(invite).coordinatorKey);
      const endorsement = organisation && endorse(organisation, federationId, await nodeKey(home));
      const joined = await joinFederation({ home, invite, nodeName: name, ...(endorsement && { endorsement }) });
      return { home, dataPath, nodeId: joined.federation.nodeId };
    },
    async startNode(name, { home, dataPath }, more = {}) {
      const node = await startTestNode(name, home, dataPath, more);
      nodes.push(node);
      return node;
    },
    async createRun(more = {}) {
      const { sha256 } = await federation.admin<{ sha256: string }>('POST', '/api/models', { path: modelPath });
      return federation.admin('POST', '/api/runs', { ...runSpec(sha256), ...more });
    },
    async runUntil(runId, matches) {
      for (;;) {
        const run = await federation.admin<RunDetailView>('GET', `/api/runs/${runId}`);
        if (matches(run)) return run;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async close() {
      await Promise.all(nodes.map((node) => node.agent.stop()));
      await federation.coordinator.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return federation;
}

async function startTestNode(
  name: string,
  home: string,
  dataPath: string,
  changes: Partial<NodeOptions>,
): Promise<TestNode> {
  const events: NodeEvent[] = [];
  const listeners = new Set<(event: NodeEvent) => void>();
  const draining = new AbortController();
  const agent = await startNode({
    home,
    dataPaths: [dataPath],
    threads: 1,
    backoff: { firstMs: 50, maxMs: 200 },
    // most of these runs are in plain mode, so that a test can look at single deltas
    policy: {
      secureAggregation: 'optional',
      greatestRank: 256,
      leastSteps: 1,
      leastExamples: 1,
      metrics: metricNames,
      leastHeldOut: 1,
    },
    signal: draining.signal,
    onEvent(event) {
      events.push(event);
      for (const listen of listeners) listen(event);
    },
    ...changes,
  });
  return {
    name,
    home,
    dataPath,
    agent,
    events,
    drain: () => draining.abort(),
    event(kind, matches = () => true) {
      type Wanted = Extract<NodeEvent, { event: typeof kind }>;
      const isWanted = (event: NodeEvent): event is Wanted => event.event === kind && matches(event as Wanted);
      const past = events.find(isWanted);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve) => {
        const listen = (event: NodeEvent): void => {
          if (!isWanted(event)) return;
          listeners.delete(listen);
          resolve(event);
        };
        listeners.add(listen);
      });
    },
  };
}

const runSpec = (sha256: string): RunSpecInput => ({
  name: 'end to end',
  baseModel: { name: 'tiny-model', sha256 },
  adapter: { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj'] },
  training: { steps: 4, batchSize: 4, sequenceLength: 32, learningRate: 0.01 },
  cohort: { minimum: 2, maximum: 2 },
  aggregation: { mode: 'plain' },
  rounds: 2,
  seed: 3,
});

/** Lines of made-up text, different for each subject. */
export const sentences = (subject: string, count: number): string =>
  Array.from(
    { length: count },
    (_, i) =>
      `On day ${i * 7} the ${subject} wrote ${(i * i * 31) % 997} words about the ${['river', 'garden', 'harbour', 'letter'][i % 4]}.`,
  ).join('\n');
