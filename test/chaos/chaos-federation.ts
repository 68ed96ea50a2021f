import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initCoordinator } from '@weft/coordinator';
import { joinFederation, startNode, type NodeAgent, type NodeEvent, type PolicyInput } from '@weft/node-agent';
import type { InviteView, RunDetailView, RunSpecInput, RunView } from '@weft/shared';
import { sentences } from '../e2e/federation.ts';
import { writeTinyModel } from '../e2e/tiny-model.ts';
import type { Kill } from './coordinator-process.ts';
import { keepHeldUpdate } from './held-update.ts';
import type { Said } from './node-process.ts';
import { createProcesses, type CoordinatorProcess, type NodeProcess, type Skew } from './processes.ts';

export interface ChaosOptions {
  readonly names: readonly string[];
  /** Of each run that is there from the beginning. */
  readonly specs: readonly Partial<RunSpecInput>[];
  readonly policy?: PolicyInput;
  /** A node that is silent for so long has left the round. */
  readonly leaseMs?: number;
  /** A round begins so long after the last arrival, unless everyone is there. */
  readonly settleMs?: number;
}

/** Who dies, where; the coordinator is started again at once. */
export interface Blows {
  readonly coordinator?: Kill;
  /** By name: the message of the session that the node had written down when its process ended; it comes back at once. */
  readonly nodes?: ReadonlyMap<string, string>;
  /** Clocks that are off, by the name of a node or `coordinator`; see `skew.ts`. */
  readonly skew?: ReadonlyMap<string, Skew>;
  /** Place in the list of specs. */
  readonly run?: number;
}

export interface Played {
  readonly run: RunDetailView;
  readonly place: Place;
  /** By name, of nodes that died: what was said in sessions in both lives. */
  readonly said: ReadonlyMap<string, readonly Said[]>;
}

/** A copy of the homes, and whatever runs on them. */
export interface Place {
  /** Of the coordinator or a node. */
  home(name: string): string;
  /** What a node trained last, before any mask. */
  held(name: string): Promise<Uint8Array>;
  /** The one that runs now. */
  readonly coordinator: CoordinatorProcess;
  /** After its end, on the same port. */
  restartCoordinator(skew?: Skew): Promise<void>;
  createRun(spec: Partial<RunSpecInput>): Promise<string>;
  /** A process that dies with this message written down. */
  startProcess(name: string, message?: string, skew?: Skew): NodeProcess;
  /** In this process; connected when it resolves. */
  startAgent(name: string, more?: { onEvent?: (event: NodeEvent) => void; untilRunEnds?: boolean }): Promise<NodeAgent>;
  close(): Promise<void>;
}

/** A federation that was set up once: each scenario starts from a copy of the same homes, with the same keys and runs. */
export interface ChaosFederation {
  readonly modelPath: string;
  play(blows?: Blows): Promise<Played>;
  open(more?: { kill?: Kill | undefined; skew?: Skew | undefined }): Promise<Place>;
  close(): Promise<void>;
}

export async function setUpChaos({ names, specs, policy, leaseMs, settleMs }: ChaosOptions): Promise<ChaosFederation> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-chaos-'));
  const modelPath = join(folder, 'tiny-model');
  const template = join(folder, 'template');
  await writeTinyModel(modelPath, sentences('model', 200));
  for (const name of names) await writeFile(join(folder, `${name}.txt`), sentences(name, 60));
  await initCoordinator(join(template, 'coordinator'));
  const processes = createProcesses();

  const first = await processes.coordinator({ home: join(template, 'coordinator'), port: 0 });
  for (const name of names) {
    const { invite } = await first.admin<InviteView>('POST', '/api/invites', { autoApprove: true });
    await joinFederation({ home: join(template, name), invite, nodeName: name });
  }
  const { sha256 } = await first.admin<{ sha256: string }>('POST', '/api/models', { path: modelPath });
  const createRun = async (coordinator: CoordinatorProcess, spec: Partial<RunSpecInput>): Promise<string> =>
    (await coordinator.admin<RunView>('POST', '/api/runs', { ...runSpec(sha256, names.length), ...spec })).id;
  const runIds: string[] = [];
  for (const spec of specs) runIds.push(await createRun(first, spec));
  await first.stop();

  let places = 0;
  const open: ChaosFederation['open'] = async ({ kill, skew } = {}) => {
    const at = join(folder, `place-${places++}`);
    await cp(template, at, { recursive: true });
    const home = (name: string): string => join(at, name);
    const held = (name: string): string => join(at, `${name}.held`);
    const timing = { home: home('coordinator'), leaseMs, settleMs };
    let coordinator = await processes.coordinator({ ...timing, port: 0, kill }, skew);
    const { port } = coordinator;
    for (const name of names) await moveTo(home(name), port);
    const agents: NodeAgent[] = [];
    const options = (name: string) => ({
      home: home(name),
      dataPaths: [join(folder, `${name}.txt`)],
      modelPath,
      threads: 1,
      untilRunEnds: true,
      policy: { secureAggregation: 'optional' as const, leastExamples: 1, ...policy },
      backoff: { firstMs: 50, maxMs: 200 },
    });
    return {
      home,
      held: (name) => readFile(held(name)),
      get coordinator() {
        return coordinator;
      },
      async restartCoordinator(again) {
        coordinator = await processes.coordinator({ ...timing, port: Number(port) }, again);
      },
      createRun: (spec) => createRun(coordinator, spec),
      startProcess: (name, message, itsSkew) =>
        processes.node(options(name), { held: held(name), message, skew: itsSkew }),
      async startAgent(name, { onEvent, untilRunEnds = true } = {}) {
        const connected = Promise.withResolvers<void>();
        const agent = await startNode({
          ...options(name),
          untilRunEnds,
          onEvent(event) {
            if (event.event === 'connected') connected.resolve();
            if (event.event === 'trained') keepHeldUpdate(home(name), held(name));
            onEvent?.(event);
          },
        });
        agents.push(agent);
        await Promise.race([connected.promise, agent.finished]);
        return agent;
      },
      async close() {
        await Promise.all(agents.map((agent) => agent.stop()));
        await coordinator.stop();
      },
    };
  };

  return {
    modelPath,
    open,
    async play({ coordinator: kill, nodes = new Map<string, string>(), skew = new Map<string, Skew>(), run = 0 } = {}) {
      const place = await open({ kill, skew: skew.get('coordinator') });
      try {
        await place.coordinator.admin('POST', `/api/runs/${runIds[run]}/start`);
        const shiftable = [...skew.keys()]
          .filter((name) => name !== 'coordinator')
          .map((name) => place.startProcess(name, undefined, skew.get(name)));
        const mortal = [...nodes].map(([name, message]) => ({
          name,
          message,
          life: place.startProcess(name, message),
        }));
        // A process takes longer to come than an agent in this one, and the round shall have all of them.
        await Promise.all([...shiftable, ...mortal.map(({ life }) => life)].map((life) => life.event('connected')));
        const lives = mortal.map(async ({ name, message, life }) => {
          await killed(life, `${name} before ${message}`);
          const second = place.startProcess(name);
          await second.ended;
          return [name, [...life.said, ...second.said]] as const;
        });
        for (const life of lives) life.catch(() => {});
        // The clocks that jump do so when the first node has trained: then its session begins.
        const trained = Promise.withResolvers<void>();
        const inProcess = names.filter((name) => !nodes.has(name) && !skew.has(name));
        const agents = await Promise.all(
          inProcess.map((name) =>
            place.startAgent(name, { onEvent: ({ event }) => event === 'trained' && trained.resolve() }),
          ),
        );
        if (skew.size > 0) {
          await trained.promise;
          if (skew.has('coordinator')) place.coordinator.shift();
          for (const process of shiftable) process.shift();
        }
        if (kill !== undefined) {
          await killed(place.coordinator, `the coordinator at ${kill.point}`);
          const off = skew.get('coordinator');
          await place.restartCoordinator(off && { ...off, fromStart: off.again ?? off.fromStart ?? 0 });
        }
        const said = new Map(await Promise.all(lives));
        await Promise.all([...shiftable.map(({ ended }) => ended), ...agents.map(({ finished }) => finished)]);
        return { run: await place.coordinator.admin<RunDetailView>('GET', `/api/runs/${runIds[run]}`), place, said };
      } finally {
        await place.close();
      }
    },
    async close() {
      processes.killAll();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when the process was killed. */
export async function killed({ ended }: Pick<NodeProcess, 'ended'>, where: string): Promise<void> {
  const signal = await ended;
  if (signal !== 'SIGKILL') throw new Error(`ended by ${signal ?? 'itself'}, and was to be killed: ${where}`);
}

/** As an invite of a coordinator at this port would have pinned it. */
async function moveTo(home: string, port: string): Promise<void> {
  const file = join(home, 'federation.json');
  const federation = JSON.parse(await readFile(file, 'utf8')) as { address: string };
  await writeFile(file, JSON.stringify({ ...federation, address: federation.address.replace(/\d+$/, port) }));
}

const runSpec = (sha256: string, nodes: number): RunSpecInput => ({
  name: 'chaos',
  baseModel: { name: 'tiny-model', sha256 },
  adapter: { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] },
  training: { steps: 2, batchSize: 2, sequenceLength: 16, learningRate: 0.01 },
  cohort: { minimum: nodes, maximum: nodes },
  aggregation: { mode: 'plain', server: { optimizer: 'fedavgm' } },
  rounds: 2,
  seed: 11,
});
