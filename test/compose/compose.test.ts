import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { skips } from '../conformance/python.ts';
import { runProgram } from '../run-weft.ts';
import { findCompose } from './engine.ts';

const timeoutMs = 540_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const compose = findCompose();
const [program, ...words] = compose ?? ['docker-compose'];

describe.skipIf(skips('compose', { 'a container engine with compose': compose?.join(' ') }))(
  'deploy/compose.yaml',
  () => {
    const project = `weft-test-${process.pid}`;
    const folder = mkdtempSync(join(tmpdir(), 'weft-compose-'));
    // the legacy builder needs no further program; port 0 is any free one
    const env = { ...process.env, DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0', WEFT_HTTP_PORT: '0' };

    const run = async (name: string, ...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runProgram(name, args, { cwd: root, env });
      if (status !== 0)
        throw new Error(`${name} ${args.join(' ')}: ${status}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`);
      return stdout.trim();
    };
    const composed = (...args: string[]) => run(program, ...words, '-p', project, '-f', 'deploy/compose.yaml', ...args);
    const container = async (service: string) => (await composed('ps', '-aq', service)).split('\n')[0] ?? '';
    let address: URL;

    beforeAll(async () => {
      await composed('up', '--build', '--detach');
      const admin = await container('admin');
      const code = await run('docker', 'wait', admin);
      if (code !== '0')
        throw new Error(`admin ended with ${code}\n${await composed('logs', '--no-color', '--tail=100')}`);
      address = new URL(`http://${await composed('port', 'coordinator', '8080')}`);
    }, timeoutMs);

    afterAll(async () => {
      await composed('down', '--volumes', '--timeout', '10');
      rmSync(folder, { recursive: true });
    }, 120_000);

    it('finishes a federation whose adapter can be taken out', async () => {
      await run('docker', 'cp', `${await container('admin')}:/out/adapter`, folder);
      const config: unknown = JSON.parse(readFileSync(join(folder, 'adapter/adapter_config.json'), 'utf8'));
      expect(config).toMatchObject({ peft_type: 'LORA' });
      const size = readFileSync(join(folder, 'adapter/adapter_model.safetensors')).length;
      expect(size).toBeGreaterThan(1000);
    });

    it('took an update of each of the three nodes', async () => {
      const coordinator = await container('coordinator');
      const weft = async (...args: string[]): Promise<unknown> =>
        JSON.parse(await run('docker', 'exec', coordinator, 'weft', ...args, '--home', '/state', '--json'));
      const runs = z.array(z.object({ id: z.string(), state: z.string() })).parse(await weft('run', 'list'));
      expect(runs.map(({ state }) => state)).toEqual(['finished']);
      const rounds = z.object({ roundsDone: z.array(z.object({ contributors: z.number() })) });
      const { roundsDone } = rounds.parse(await weft('run', 'show', runs[0]?.id ?? ''));
      expect(roundsDone.map(({ contributors }) => contributors)).toEqual(roundsDone.map(() => 3));
    });

    it("publishes the admin page on the host's 127.0.0.1 and nowhere else", async () => {
      expect(address.hostname).toBe('127.0.0.1');
      const page = await fetch(address);
      expect(page.status).toBe(200);
      const elsewhere = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      for (const { address: host, family, internal } of elsewhere) {
        if (internal || family !== 'IPv4') continue;
        await expect(fetch(`http://${host}:${address.port}/`), host).rejects.toThrow('fetch failed');
      }
    });

    it('runs as an ordinary user', async () => {
      expect(await run('docker', 'exec', await container('coordinator'), 'id', '-u')).toBe('10001');
    });
  },
);
