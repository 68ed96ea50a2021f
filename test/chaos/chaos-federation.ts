import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { initCoordinator } from '@weft/coordinator';
import { joinFederation, startNode } from '@weft/node-agent';
import type { InviteView, RunDetailView, RunSpecInput, RunView } from '@weft/shared';
import { sentences } from '../e2e/federation.ts';
import { writeTinyModel } from '../e2e/tiny-model.ts';

const program = fileURLToPath(new URL('coordinator-process.ts', import.meta.url));
const names = ['amina', 'bruno', 'chiara'];

interface CoordinatorProcess {
  readonly port: string;
  readonly ended: Promise<NodeJS.Signals | null>;
  admin<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>;
  stop(): Promise<void>;
}

/** A federation that was set up once: each scenario starts from a copy of the same homes, with the same keys and run. */
export interface ChaosFederation {
  /** @param kill a point and which passing of it ends the coordinator's process; it is then started again */
  play(kill?: { point: string; passing: number }): Promise<{ run: RunDetailView; nodeHomes: string[] }>;
  close(): Promise<void>;
}

export async function setUpChaos(): Promise<ChaosFederation> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-chaos-'));
  const modelPath = join(folder, 'tiny-model');
  const template = join(folder, 'template');
  await writeTinyModel(modelPath, sentences('model', 200));
  for (const name of names) await writeFile(join(folder, `${name}.txt`), sentences(name, 60));
  await initCoordinator(join(template, 'coordinator'));
  const children = new Set<ChildProcess>();

  const start = async (place: string, port: string, ...kill: string[]): Promise<CoordinatorProcess> => {
    const home = join(place, 'coordinator');
    const child = spawn(process.execPath, [program, home, port, ...kill], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(child);
    const ended = once(child, 'exit').then(([, signal]) => {
      children.delete(child);
      return signal as NodeJS.Signals | null;
    });
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
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
  const { id } = await first.admin<RunView>('POST', '/api/runs', runSpec(sha256));
  await first.stop();

  let scenarios = 0;
  return {
    async play(kill) {
      const place = join(folder, `scenario-${scenarios++}`);
      await cp(template, place, { recursive: true });
      let coordinator = await start(place, first.port, ...(kill ? [kill.point, String(kill.passing)] : []));
      await coordinator.admin('POST', `/api/runs/${id}/start`);
      const agents = await Promise.all(
        names.map((name) =>
          startNode({
            home: join(place, name),
            dataPaths: [join(folder, `${name}.txt`)],
            modelPath,
            threads: 1,
            untilRunEnds: true,
            policy: { secureAggregation: 'optional', leastExamples: 1 },
            backoff: { firstMs: 50, maxMs: 200 },
          }),
        ),
      );
      try {
        if (kill !== undefined) {
          const signal = await coordinator.ended;
          if (signal !== 'SIGKILL')
            throw new Error(`the coordinator ended by ${signal ?? 'itself'}, not at ${kill.point}`);
          coordinator = await start(place, first.port);
        }
        await Promise.all(agents.map(({ finished }) => finished));
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

const runSpec = (sha256: string): RunSpecInput => ({
  name: 'chaos',
  baseModel: { name: 'tiny-model', sha256 },
  adapter: { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] },
  training: { steps: 2, batchSize: 2, sequenceLength: 16, learningRate: 0.01 },
  cohort: { minimum: names.length, maximum: names.length },
  aggregation: { mode: 'plain', server: { optimizer: 'fedavgm' } },
  rounds: 2,
  seed: 11,
});
