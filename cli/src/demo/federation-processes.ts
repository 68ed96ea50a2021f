import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeEvent, NodeSummary } from '@weft/node-agent';
import { type RunDetailView, runDetailViewSchema, type RunSpecInput, WeftError } from '@weft/shared';
import { ProcessGroup } from './processes.ts';

export interface DemoNodePlan {
  readonly name: string;
  readonly dataFile: string;
}

export interface FederationPlan {
  /** Everything that the processes keep lies below it. */
  readonly folder: string;
  readonly modelPath: string;
  /** Where all processes unpack GGUF files. */
  readonly cacheDir?: string | undefined;
  readonly spec: RunSpecInput;
  readonly nodes: readonly DemoNodePlan[];
  readonly threadsPerNode: number;
  /** Each command, as a user would type it. */
  readonly onCommand: (line: string) => void;
  readonly onNodeEvent: (node: string, event: NodeEvent) => void;
  readonly signal: AbortSignal;
}

export interface FederationOutcome {
  readonly run: RunDetailView;
  readonly nodes: readonly { readonly name: string; readonly nodeId: string; readonly summary: NodeSummary }[];
  /** PEFT folder. */
  readonly adapterFolder: string;
}

/** Runs `weft …` to its end and gives back the JSON that it printed. */
type RunWeft = (...args: readonly string[]) => Promise<unknown>;

/**
 * One coordinator and a node agent for each plan, as processes of their own, through the commands that a user types.
 * Whatever happens, no process is left behind.
 */
export async function runFederation(plan: FederationPlan): Promise<FederationOutcome> {
  const processes = new ProcessGroup(plan.cacheDir === undefined ? {} : { WEFT_CACHE: plan.cacheDir });
  const home = join(plan.folder, 'coordinator');
  const weft: RunWeft = (...args) => {
    plan.signal.throwIfAborted();
    plan.onCommand(commandLine(args));
    return processes.run(`weft ${args.slice(0, 2).join(' ')}`, [...args, '--json']);
  };
  try {
    await weft('coordinator', 'init', '--home', home);
    const coordinator = await startCoordinator(processes, plan, home);
    const nodes = await Promise.all(plan.nodes.map((node) => startNode(processes, weft, plan, node, home)));
    const specFile = join(plan.folder, 'run.json');
    await writeFile(specFile, JSON.stringify(plan.spec, undefined, 2));
    const { id: runId } = (await weft('run', 'create', specFile, '--model', plan.modelPath, '--home', home)) as {
      id: string;
    };
    await weft('run', 'start', runId, '--home', home);
    const interrupted = new Promise<never>((_, reject) =>
      plan.signal.addEventListener('abort', () => reject(plan.signal.reason as Error), { once: true }),
    );
    const summaries = await Promise.race([
      Promise.all(nodes.map((node) => node.summary)),
      interrupted,
      endedEarly(coordinator.exited),
    ]);
    const run = runDetailViewSchema.parse(await weft('run', 'show', runId, '--home', home));
    if (run.state !== 'finished')
      throw new WeftError(
        'WEFT_DEMO_RUN_FAILED',
        `the run is ${run.state}${run.reason === null ? '' : `: ${run.reason}`}`,
      );
    const adapterFolder = join(plan.folder, 'adapter');
    await weft('run', 'export', runId, '--out', adapterFolder, '--home', home);
    return {
      run,
      nodes: nodes.map(({ name, nodeId }, index) => ({ name, nodeId, summary: summaries[index]! })),
      adapterFolder,
    };
  } finally {
    await processes.stopAll();
  }
}

/** As a user would type it; an invite holds a token and is long, so only its place. */
const commandLine = (args: readonly string[]): string =>
  `weft ${args.map((word) => (word.startsWith('weft1_') ? 'INVITE' : word)).join(' ')}`;

/** Resolves once it serves. */
async function startCoordinator(
  processes: ProcessGroup,
  plan: FederationPlan,
  home: string,
): Promise<{ exited: Promise<number> }> {
  const args = ['coordinator', 'start', '--home', home, '--grpc-port', '0', '--http-port', '0'];
  plan.onCommand(commandLine(args));
  const serving = Promise.withResolvers<void>();
  const coordinator = processes.start({
    name: 'the coordinator',
    args: [...args, '--json'],
    onLine: () => serving.resolve(),
  });
  await Promise.race([serving.promise, endedEarly(coordinator.exited)]);
  return coordinator;
}

async function startNode(
  processes: ProcessGroup,
  weft: RunWeft,
  plan: FederationPlan,
  { name, dataFile }: DemoNodePlan,
  coordinatorHome: string,
) {
  const home = join(plan.folder, name);
  const { invite } = (await weft('invite', 'create', '--auto-approve', '--home', coordinatorHome)) as {
    invite: string;
  };
  const { nodeId } = (await weft('node', 'join', invite, '--name', name, '--home', home)) as { nodeId: string };
  const args = [
    'node',
    'start',
    '--home',
    home,
    '--data',
    dataFile,
    '--model',
    plan.modelPath,
    '--threads',
    String(plan.threadsPerNode),
    '--small-cohort',
    '--until-run-ends',
  ];
  plan.onCommand(commandLine(args));
  const started = Promise.withResolvers<void>();
  let summary: NodeSummary | undefined;
  const agent = processes.start({
    name: `node ${name}`,
    args: [...args, '--json'],
    onLine(line) {
      const event = line as NodeEvent;
      if (event.event === 'connected') started.resolve();
      if (event.event === 'summary') summary = event;
      plan.onNodeEvent(name, event);
    },
  });
  await Promise.race([started.promise, endedEarly(agent.exited)]);
  const finished = agent.exited.then(() => {
    if (summary === undefined) throw new WeftError('WEFT_DEMO_RUN_FAILED', `node ${name} ended without a summary`);
    return summary;
  });
  finished.catch(() => {}); // whoever waits for all nodes sees the first failure
  return { name, nodeId, summary: finished };
}

/** A server that ends while others count on it has failed, whatever its exit code. */
const endedEarly = async (exited: Promise<number>): Promise<never> => {
  const code = await exited;
  throw new WeftError('WEFT_DEMO_RUN_FAILED', `a process of the demo ended early with exit code ${code}`);
};
