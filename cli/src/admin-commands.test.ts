import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInvite } from '@weft/shared';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));

let folder: string;
let home: string;
let server: ChildProcess;
let serving: { grpcAddress: string; advertised: string; httpUrl: string };
let init: { federationId: string; password: string };

const weft = (...argv: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...argv, '--home', home], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-commands-'));
  home = join(folder, 'home');
});
afterAll(async () => {
  server?.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

describe("an admin's commands", () => {
  it('say what to do before there is a home, and before a coordinator runs on it', () => {
    const start = weft('coordinator', 'start');
    expect(start.status).toBe(2);
    expect(start.stderr).toContain('run `weft coordinator init`');
    const made = weft('coordinator', 'init', '--json');
    expect(made.status).toBe(0);
    init = JSON.parse(made.stdout) as typeof init;
    expect(init.password.replaceAll('-', '')).toMatch(/^[0-9a-f]{32}$/);
    expect(weft('coordinator', 'init').stderr).toContain('WEFT_COORDINATOR_HOME_EXISTS');
    const list = weft('run', 'list');
    expect(list.status).toBe(5);
    expect(list.stderr).toContain('weft coordinator start');
  });

  it('find the coordinator that serves the home', async () => {
    const argv = [
      'coordinator',
      'start',
      '--home',
      home,
      '--grpc-port',
      '0',
      '--http-port',
      '0',
      '--advertise',
      'weft.example:7443',
      '--json',
    ];
    server = spawn(process.execPath, [entry, ...argv], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    serving = JSON.parse(line) as typeof serving;
    expect(serving.advertised).toBe('weft.example:7443');
    expect(JSON.parse(weft('node', 'list', '--json').stdout)).toEqual([]);
    expect(weft('coordinator', 'start').stderr).toContain('WEFT_HOME_LOCKED');
  });

  it('make an invite that stands alone on standard output', () => {
    const { stdout, stderr } = weft('invite', 'create', '--auto-approve', '--expires-in-hours', '2');
    expect(parseInvite(stdout)).toMatchObject({ address: 'weft.example:7443' });
    expect(stderr).toContain('without your approval');
  });

  it('tell every mistake of a spec, and what else is wrong', async () => {
    const spec = join(folder, 'spec.yaml');
    await writeFile(
      spec,
      'name: ""\nrounds: none\naggregation: { mode: secret }\nbaseModel: { name: x, sha256: abc }\ntraining: { steps: 1 }\nadapter: {}\n',
    );
    const { status, stdout, stderr } = weft('run', 'create', spec);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    for (const path of ['4 mistakes', 'name:', 'rounds:', 'aggregation.mode:', 'baseModel.sha256:'])
      expect(stderr).toContain(path);
    expect(weft('run', 'create', join(folder, 'none.yaml')).stderr).toContain('ENOENT');
    expect(weft('run', 'start', 'nothing').stderr).toContain('WEFT_RUN_UNKNOWN');
    expect(weft('node', 'approve', 'nobody').stderr).toContain('WEFT_NODE_UNKNOWN');
  });

  it('drain on an interrupt and leave nothing behind', async () => {
    server.kill('SIGTERM');
    await once(server, 'exit');
    expect(weft('run', 'list').stderr).toContain('WEFT_ADMIN_UNREACHABLE');
  });
});
