import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { initCoordinator } from '@weft/coordinator';
import { joinFederation, startNode, type PolicyInput } from '@weft/node-agent';
import type { InviteView, RunDetailView, RunSpecInput, RunView } from '@weft/shared';
import { sentences } from '../e2e/federation.ts';
import { writeTinyModel } from '../e2e/tiny-model.ts';

const coordinatorProgram = fileURLToPath(new URL('coordinator-process.ts', import.meta.url));
const nodeProgram = fileURLToPath(new URL('node-process.ts', import.meta.url));
const skewPreload = fileURLToPath(new URL('skew.ts', import.meta.url));

interface CoordinatorProcess {
  readonly port: string;
  readonly ended: Promise<NodeJS.Signals | null>;
  admin<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>;
  /** Its clock jumps. */
  shift(): void;
  stop(): Promise<void>;
}

export interface ChaosOptions {
  readonly names: readonly string[];
  readonly spec: Partial<RunSpecInput>;
  readonly policy?: PolicyInput;
  /** A node that is silent for so long has left the round. */
  readonly leaseMs?: number;
  /** A round begins so long after the last arrival, unless everyone is there. */
  readonly settleMs?: number;
}

/** Who dies, where; the coordinator is started again at once. */
export interface Blows {
  /** A point and which passing of it ends the coordinator's process. */
  readonly coordinator?: { readonly point: string; readonly passing: number };
  /** By name: the message of the session that the node had written down when its process ended; it comes back at once. */
  readonly nodes?: ReadonlyMap<string, string>;
  /** Clocks that are off, by the name of a node or `coordinator`; see `skew.ts`. */
  readonly skew?: ReadonlyMap<string, Skew>;
}

/** Milliseconds: as long as the process lives, and from the middle of the first session on. */
export interface Skew {
  readonly fromStart?: number;
  /** After it was killed and started again, in place of `fromStart`. */
  readonly again?: number;
  readonly later?: number;
}

export interface Played {
  readonly run: RunDetailView;
  /** By place in the list of names. */
  readonly nodeHomes: string[];
}

/** A federation that was set up once: each scenario starts from a copy of the same homes, with the same keys and run. */
export interface ChaosFederation {
  play(blows?: Blows): Promise<Played>;
  close(): Promise<void>;
}

export async function setUpChaos({ names, spec, policy, leaseMs, settleMs }: ChaosOptions): Promise<ChaosFederation> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-chaos-'));
  const modelPath = join(folder, 'tiny-model');
  const template = join(folder, 'template');
  await writeTinyModel(modelPath, sentences('model', 200));
  for (const name of names) await writeFile(join(folder, `${name}.txt`), sentences(name, 60));
  await initCoordinator(join(template, 'coordinator'));
  const children = new Set<ChildProcess>();

  const run = (program: string, args: unknown, skew: Skew | undefined, ...stdio: readonly ('pipe' | 'inherit')[]) => {
    const child = spawn(process.execPath, [...(skew ? ['--import', skewPreload] : []), program, JSON.stringify(args)], {
      stdio: ['ignore', ...stdio, 'inherit'],
      env: {
        ...process.env,
        WEFT_SKEW_MS: String(skew?.fromStart ?? 0),
        WEFT_SKEW_LATER_MS: String(skew?.later ?? 0),
      },
    });
    children.add(child);
    const ended = once(child, 'exit').then(([, signal]) => {
      children.delete(child);
      return signal as NodeJS.Signals | null;
    });
    return { child, ended };
  };

  const start = async (
    place: string,
    port: string,
    { kill, skew }: { kill?: Blows['coordinator']; skew?: Skew | undefined } = {},
  ): Promise<CoordinatorProcess> => {
    const home = join(place, 'coordinator');
    const { child, ended } = run(
      coordinatorProgram,
      { home, port: Number(port), leaseMs, settleMs, ...kill },
      skew,
      'pipe',
    );
    const [line] = (await Promise.race([
      once(createInterface(child.stdout!), 'line'),
      ended.then((signal) => Promise.reject(new Error(`the coordinator did not start (${signal ?? 'no signal'})`))),
    ])) as [string];
    const { grpcAddress, httpUrl } = JSON.parse(line) as { grpcAddress: string; httpUrl: string };
    const token = await readFile(join(home, 'admin-token'), 'utf8');
    return {
      port: grpcAddress.split(':').at(-1)!,
      ended,
      async admin(method, path, body) {
        const response = await fetch(new URL(path, httpUrl), {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body !== undefined && { 'content-type': 'application/json' }),
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
        const answer: unknown = await response.json();
        if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
        return answer as never;
      },
      shift: () => void child.kill('SIGUSR2'),
      async stop() {
        child.kill('SIGTERM');
        await ended;
      },
    };
  };

  const first = await start(template, '0');
  for (const name of names) {
    const { invite } = await first.admin<InviteView>('POST', '/api/invites', { autoApprove: true });
    await joinFederation({ home: join(template, name), invite, nodeName: name });
  }
  const { sha256 } = await first.admin<{ sha256: string }>('POST', '/api/models', { path: modelPath });
  const { id } = await first.admin<RunView>('POST', '/api/runs', { ...runSpec(sha256, names.length), ...spec });
  await first.stop();

  const nodeOptions = (place: string, name: string) => ({
    home: join(place, name),
    dataPaths: [join(folder, `${name}.txt`)],
    modelPath,
    threads: 1,
    untilRunEnds: true,
    policy: { secureAggregation: 'optional' as const, leastExamples: 1, ...policy },
    backoff: { firstMs: 50, maxMs: 200 },
  });

  let scenarios = 0;
  return {
    async play({ coordinator: kill, nodes = new Map<string, string>(), skew = new Map() } = {}) {
      const place = join(folder, `scenario-${scenarios++}`);
      await cp(template, place, { recursive: true });
      let coordinator = await start(place, first.port, { ...(kill && { kill }), skew: skew.get('coordinator') });
      await coordinator.admin('POST', `/api/runs/${id}/start`);
      const nodeProcess = (name: string, message?: string) =>
        run(nodeProgram, { options: nodeOptions(place, name), message }, skew.get(name), 'pipe');
      const shiftable = [...skew.keys()].filter((name) => name !== 'coordinator').map((name) => nodeProcess(name));
      const mortal = [...nodes].map(([name, message]) => ({ name, message, ...nodeProcess(name, message) }));
      // A process takes longer to come than an agent in this one, and the round shall have all of them.
      await Promise.all(
        [...shiftable, ...mortal].map(({ child }) => once(createInterface({ input: child.stdout! }), 'line')),
      );
      const lives = mortal.map(async ({ name, message, ended }) => {
        const signal = await ended;
        if (signal !== 'SIGKILL') throw new Error(`${name} ended by ${signal ?? 'itself'}, not before ${message}`);
        await nodeProcess(name).ended;
      });
      // The clocks that jump do so when the first node has trained: then its session begins.
      const trained = Promise.withResolvers<void>();
      const inProcess = names.filter((name) => !nodes.has(name) && !skew.has(name));
      const agents = await Promise.all(
        inProcess.map((name) =>
          startNode({
            ...nodeOptions(place, name),
            onEvent: ({ event }) => event === 'trained' && trained.resolve(),
          }),
        ),
      );
      try {
        if (skew.size > 0) {
          await trained.promise;
          if (skew.has('coordinator')) coordinator.shift();
          for (const { child } of shiftable) child.kill('SIGUSR2');
        }
        if (kill !== undefined) {
          const signal = await coordinator.ended;
          if (signal !== 'SIGKILL')
            throw new Error(`the coordinator ended by ${signal ?? 'itself'}, not at ${kill.point}`);
          const off = skew.get('coordinator');
          coordinator = await start(place, first.port, {
            skew: off && { ...off, fromStart: off.again ?? off.fromStart ?? 0 },
          });
        }
        await Promise.all([
          ...lives,
          ...shiftable.map(({ ended }) => ended),
          ...agents.map(({ finished }) => finished),
        ]);
        return {
          run: await coordinator.admin<RunDetailView>('GET', `/api/runs/${id}`),
          nodeHomes: names.map((name) => join(place, name)),
        };
      } finally {
        await Promise.all(agents.map((agent) => agent.stop()));
        await coordinator.stop();
      }
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
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
