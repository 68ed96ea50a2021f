import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRunning, initCoordinator, startCoordinator } from '@weft/coordinator';
import { joinFederation, metricNames, nodeKey, startNode, type NodeAgent, type PolicyInput } from '@weft/node-agent';
import { endorse, parseInvite, toFederationId, type Identity, type RunSpecInput, type RunView } from '@weft/shared';

/** The model that the repository carries: small enough to train while a browser looks on. */
const modelPath = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));

/** A real coordinator on free ports, and nodes of it in this process. */
export const startFederation = async (name: string) => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-browser-'));
  const home = join(folder, 'coordinator');
  const { password = '' } = await initCoordinator(home, { config: { name } });
  const coordinator = await startCoordinator({
    home,
    grpcPort: 0,
    httpPort: 0,
    logLevel: 'silent',
    timing: { settleMs: 100 },
  });
  const agents: NodeAgent[] = [];
  const homeOf = (node: string): string => join(folder, node);

  /** As `weft` commands on the coordinator's machine do. */
  const post = async <T>(path: string, body?: unknown): Promise<T> => {
    const { httpUrl, adminToken } = await findRunning(home);
    const response = await fetch(`${httpUrl}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminToken}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as T;
  };

  return {
    url: coordinator.httpUrl,
    password,

    /** What `weft run create SPEC --model PATH` does first. */
    registerModel: (): Promise<{ name: string; sha256: string }> => post('/api/models', { path: modelPath }),

    async startRun(spec: RunSpecInput): Promise<RunView> {
      const { id } = await post<RunView>('/api/runs', spec);
      return post(`/api/runs/${id}/start`);
    },

    /** @returns the node's id */
    async join(node: string, invite: string, endorsedBy?: Identity): Promise<string> {
      const nodeHome = homeOf(node);
      const federationId = toFederationId(parseInvite(invite).coordinatorKey);
      const endorsement = endorsedBy && endorse(endorsedBy, federationId, await nodeKey(nodeHome));
      const { federation } = await joinFederation({
        home: nodeHome,
        invite,
        nodeName: node,
        organisation: 'Library',
        ...(endorsement && { endorsement }),
      });
      return federation.nodeId;
    },

    async start(node: string, policy: PolicyInput = {}): Promise<void> {
      const data = join(folder, `${node}-data`);
      await mkdir(data);
      const lines = Array.from({ length: 60 }, (_, line) =>
        JSON.stringify({ text: `${node} keeps line ${line} of its own notes.` }),
      );
      await writeFile(join(data, 'notes.jsonl'), lines.join('\n'));
      agents.push(
        await startNode({
          home: homeOf(node),
          dataPaths: [data],
          modelPath,
          threads: 1,
          policy: {
            secureAggregation: 'optional',
            smallestCohort: 3,
            metrics: metricNames,
            leastHeldOut: 1,
            ...policy,
          },
        }),
      );
    },

    async close(): Promise<void> {
      await Promise.all(agents.map((agent) => agent.stop()));
      await coordinator.close();
      await rm(folder, { recursive: true });
    },
  };
};

export type Federation = Awaited<ReturnType<typeof startFederation>>;
