import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeEvent } from '@weft/node-agent';
import type { InviteView } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';
import { createWeftProcesses } from './weft-processes.ts';

let federation: TestFederation;
const processes = createWeftProcesses();
const { weft } = processes;
beforeEach(async () => {
  federation = await openFederation();
});
afterEach(async () => {
  processes.killAll();
  await federation.close();
});

const joinByCommand = async (name: string): Promise<{ home: string; data: string }> => {
  const home = join(federation.folder, name);
  const data = join(federation.folder, `${name}.txt`);
  await writeFile(data, sentences(name, 120));
  const { invite } = await federation.admin<InviteView>('POST', '/api/invites', { autoApprove: true });
  const joining = weft('node', 'join', '-', '--home', home, '--name', name, '--json');
  joining.child.stdin!.end(invite);
  expect(await joining.exited).toMatchObject({ code: 0, log: expect.stringContaining('secure aggregation') });
  expect(JSON.parse(joining.lines[0]!)).toMatchObject({ nodeName: name, status: 'approved' });
  const allowed = ['--secure-aggregation', 'optional', '--metrics', 'held-out-loss', '--least-held-out', '1'];
  const policy = weft('node', 'policy', 'init', '--home', home, '--yes', ...allowed, '--json');
  expect(await policy.exited).toMatchObject({ code: 0 });
  return { home, data };
};

const start = ({ home, data }: { home: string; data: string }) =>
  weft('node', 'start', '--home', home, '--data', data, '--threads', '1', '--until-run-ends', '--json');

test('an agent that is killed in mid-training comes back on its home and ends with the run', async () => {
  const place = await joinByCommand('amina');
  const killed = start(place);
  await killed.says('connected');
  const second = start(place);
  expect(await second.exited).toMatchObject({ code: 6, log: expect.stringContaining('WEFT_HOME_LOCKED') });
  const { id } = await federation.createRun({
    training: { steps: 150, batchSize: 4, sequenceLength: 32, learningRate: 0.001 },
    cohort: { minimum: 1, maximum: 1 },
    rounds: 1,
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  await killed.says('training');
  killed.child.kill('SIGKILL');
  await killed.exited;
  const again = start(place);
  expect(await again.exited).toMatchObject({ code: 0, log: '' });
  expect(JSON.parse(again.lines.at(-1)!) as NodeEvent).toMatchObject({ event: 'summary', updates: 1 });
  const run = await federation.runUntil(id, ({ state }) => state !== 'running');
  expect(run).toMatchObject({ state: 'finished' });

  const history = weft('node', 'history', '--home', place.home, '--json');
  await history.exited;
  const kinds = history.lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
  // What was told of the round and the run comes whenever it comes.
  expect(kinds).toEqual(expect.arrayContaining(['log', 'run']));
  expect(kinds.filter((kind) => kind !== 'log' && kind !== 'run')).toEqual([
    'enrolment',
    'evaluation',
    'evaluation',
    'update',
    'evaluation',
  ]);
  const status = weft('node', 'status', '--home', place.home, '--json');
  await status.exited;
  expect(JSON.parse(status.lines[0]!)).toMatchObject({ nodeName: 'amina', pid: null, updatesSent: 1 });
});

test('Ctrl-C drains an agent that waits, and says so', async () => {
  const agent = start(await joinByCommand('amina'));
  await agent.says('connected');
  agent.child.kill('SIGINT');
  expect(await agent.exited).toMatchObject({ code: 0, log: expect.stringContaining('press Ctrl-C again') });
  expect((JSON.parse(agent.lines.at(-1)!) as NodeEvent).event).toBe('summary');
});

test.each([
  ['a home without a federation', 2, 'WEFT_NODE_NOT_JOINED', ['node', 'status', '--home', 'HOME']],
  ['an invite that lost a letter', 2, 'WEFT_INVITE_MALFORMED', ['node', 'join', 'weft1_AAAAAAAA', '--home', 'HOME']],
  ['an agent without data', 2, 'WEFT_USAGE', ['node', 'start', '--home', 'HOME']],
])('%s is told what to do', async (_what, code, error, args) => {
  const command = weft(...args.map((arg) => (arg === 'HOME' ? join(federation.folder, 'nobody') : arg)));
  expect(await command.exited).toMatchObject({ code, log: expect.stringContaining(error) });
});
