import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRunning, initCoordinator, startCoordinator } from '@weft/coordinator';
import { joinFederation, startNode, type NodeAgent } from '@weft/node-agent';

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

  return {
    url: coordinator.httpUrl,
    password,

    /** What `weft run create SPEC --model PATH` does first. */
    async registerModel(): Promise<void> {
      const { httpUrl, adminToken } = await findRunning(home);
      const response = await fetch(`${httpUrl}/api/models`, {
        method: 'POST',
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ path: modelPath }),
      });
      if (!response.ok) throw new Error(await response.text());
    },

    /** @returns the node's id */
    async join(node: string, invite: string): Promise<string> {
      const { federation } = await joinFederation({
        home: homeOf(node),
        invite,
        nodeName: node,
        organisation: 'Library',
      });
      return federation.nodeId;
    },

    async start(node: string): Promise<void> {
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
          policy: { secureAggregation: 'optional' },
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
