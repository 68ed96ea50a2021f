import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { initCoordinator } from '@weft/coordinator';
import { joinFederation, nodeKey, startNode, type NodeAgent } from '@weft/node-agent';
import {
  createIdentity,
  endorse,
  parseInvite,
  toFederationId,
  type InviteView,
  type RunDetailView,
  type RunView,
} from '@weft/shared';
import { sentences } from '../../e2e/federation.ts';
import { leaveUpdate } from '../../e2e/left-update.ts';
import { writeTinyModel } from '../../e2e/tiny-model.ts';

/** One round of secure aggregation over TLS: a coordinator's process, and its members as real agents in this one. */
export interface CohortFigures {
  readonly members: number;
  readonly shards: number;
  readonly shardRule: string;
  readonly contributors: number;
  /** From the start of the run to its end. */
  readonly roundS: number;
  /** How long each phase lasted. */
  readonly phasesS: Readonly<Record<string, number>>;
  /** Of the coordinator's process alone. */
  readonly coordinatorCpuS: number;
  readonly idleRssBytes: number;
  readonly peakRssBytes: number;
}

const organisations = 8;
const program = fileURLToPath(new URL('../../chaos/coordinator-process.ts', import.meta.url));

export async function measureCohort(members: number, report: (line: string) => void): Promise<CohortFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-cohort-'));
  const agents: NodeAgent[] = [];
  let child: ChildProcess | undefined;
  try {
    const home = join(folder, 'coordinator');
    const modelPath = join(folder, 'tiny-model');
    await writeTinyModel(modelPath, sentences('model', 400));
    await initCoordinator(home);
    child = spawn(process.execPath, [...coordinatorFlags(), program, JSON.stringify({ home, port: 0 })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
    const admin = createAdmin((JSON.parse(line) as { httpUrl: string }).httpUrl, join(home, 'admin-token'));

    const vouching = Array.from({ length: organisations }, () => createIdentity().identity);
    const places: { home: string; dataPath: string; nodeId: string }[] = [];
    for (let node = 0; node < members; node++) {
      const place = { home: join(folder, `node-${node}`), dataPath: join(folder, `node-${node}.txt`) };
      await writeFile(place.dataPath, sentences(`node ${node}`, 20));
      const { invite } = await admin<InviteView>('POST', '/api/invites', { autoApprove: true });
      const federationId = toFederationId(parseInvite(invite).coordinatorKey);
      const endorsement = endorse(vouching[node % organisations]!, federationId, await nodeKey(place.home));
      const joined = await joinFederation({ home: place.home, invite, nodeName: `node-${node}`, endorsement });
      places.push({ ...place, nodeId: joined.federation.nodeId });
    }
    report(`${members} members enrolled`);
    const shardRule = members >= 513 ? 'trimmed-mean' : 'mean';
    const { sha256 } = await admin<{ sha256: string }>('POST', '/api/models', { path: modelPath });
    const { id } = await admin<RunView>('POST', '/api/runs', {
      name: 'cohort',
      baseModel: { name: 'tiny-model', sha256 },
      adapter: { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj'] },
      training: { steps: 4, batchSize: 4, sequenceLength: 32, learningRate: 0.01 },
      cohort: { minimum: members, maximum: members },
      aggregation: { clipNormL2: 10, weighting: 'uniform', secure: { shardRule, stepSeconds: 3600 } },
      evaluation: { heldOutShare: 0 },
      rounds: 1,
      seed: 3,
    });
    const runNow = (): Promise<RunDetailView> => admin('GET', `/api/runs/${id}`);
    const created = await runNow();
    for (const place of places) await leaveUpdate(place, created);
    // All at once would be a test of TLS handshakes in one process.
    for (const { home: nodeHome, dataPath } of places)
      agents.push(
        await startNode({
          home: nodeHome,
          dataPaths: [dataPath],
          threads: 1,
          backoff: { firstMs: 50, maxMs: 1000 },
          policy: { leastExamples: 1 },
        }),
      );
    report('agents started');
    const idleRssBytes = (await memoryOf(child)).rssBytes;
    const cpuBefore = await cpuSecondsOf(child);

    await admin('POST', `/api/runs/${id}/start`);
    const began = performance.now();
    const phases = new Map<string, number>();
    let [last, since] = ['', began];
    let run = await runNow();
    for (; run.state === 'created' || run.state === 'running'; run = await runNow()) {
      if (run.phase !== last) {
        const now = performance.now();
        if (last !== '') phases.set(last, (phases.get(last) ?? 0) + (now - since) / 1000);
        report(`${((now - began) / 1000).toFixed(1)} s: ${run.phase}`);
        [last, since] = [run.phase, now];
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const [round] = run.roundsDone;
    if (run.state !== 'finished' || round === undefined || round.reason !== null)
      throw new Error(`the run is ${run.state}: ${JSON.stringify(run.reason ?? round?.reason)}`);
    phases.set(last, (phases.get(last) ?? 0) + (performance.now() - since) / 1000);
    return {
      members,
      shards: Math.ceil(members / 128),
      shardRule,
      contributors: round.contributors,
      roundS: (performance.now() - began) / 1000,
      phasesS: Object.fromEntries(phases),
      coordinatorCpuS: (await cpuSecondsOf(child)) - cpuBefore,
      idleRssBytes,
      peakRssBytes: (await memoryOf(child)).peakBytes,
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    if (child?.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of Node, for the coordinator alone: a profile, for instance. */
const coordinatorFlags = (): string[] => (process.env['WEFT_BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean);

function createAdmin(httpUrl: string, tokenFile: string) {
  return async <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => {
    const response = await fetch(new URL(path, httpUrl), {
      method,
      headers: {
        authorization: `Bearer ${await readFile(tokenFile, 'utf8')}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer as never;
  };
}

/** As the kernel counts it. */
async function memoryOf({ pid }: ChildProcess): Promise<{ rssBytes: number; peakBytes: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { rssBytes: kilobytes('VmRSS') * 1024, peakBytes: kilobytes('VmHWM') * 1024 };
}

/** In hundredths of a second, the clock tick of every Linux that Node runs on. */
async function cpuSecondsOf({ pid }: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const cohortRows = (figures: CohortFigures): string[][] => [
  ['members', String(figures.members)],
  ['shards', `${figures.shards}, ${figures.shardRule}`],
  ['contributors', String(figures.contributors)],
  ['round', `${figures.roundS.toFixed(1)} s`],
  ...Object.entries(figures.phasesS).map(([phase, seconds]) => [`  ${phase}`, `${seconds.toFixed(1)} s`]),
  ['coordinator CPU', `${figures.coordinatorCpuS.toFixed(1)} s`],
  ['coordinator memory, members connected', `${(figures.idleRssBytes / 2 ** 20).toFixed(0)} MiB`],
  ['coordinator memory, peak', `${(figures.peakRssBytes / 2 ** 20).toFixed(0)} MiB`],
];
