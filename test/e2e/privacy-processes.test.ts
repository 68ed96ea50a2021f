import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSent, readStatements, type NodeStatus } from '@weft/node-agent';
import type { RunDetailView, RunSpecInput } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';
import { createWeftProcesses, type WeftProcess } from './weft-processes.ts';

const processes = createWeftProcesses();
const { weft } = processes;
const federations: TestFederation[] = [];
afterEach(async () => {
  processes.killAll();
  for (const federation of federations.splice(0)) await federation.close();
});

const delta = 1e-5;
/** ε of one round at z = 4 is about 1, of two about 1.5, of three about 1.8. */
const noisy: Partial<RunSpecInput> = {
  aggregation: { mode: 'secure', clipNormL2: 1, weighting: 'uniform' },
  cohort: { minimum: 3, maximum: 3 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 4 },
};
const budget = 1.7;

type Place = Awaited<ReturnType<TestFederation['join']>>;
/** A federation with a run that goes on, two members of it, and a third for a process. */
async function begin(rounds: number): Promise<{ federation: TestFederation; ana: Place; runId: string }> {
  const federation = await openFederation();
  federations.push(federation);
  const ana = await federation.join('ana', sentences('ana', 60));
  for (const name of ['ben', 'eva'])
    await federation.startNode(name, await federation.join(name, sentences(name, 60)), {
      policy: { smallestCohort: 3 },
    });
  const { id: runId } = await federation.createRun({ ...noisy, rounds });
  await federation.admin('POST', `/api/runs/${runId}/start`);
  return { federation, ana, runId };
}

const writeBudget = async ({ home }: Place, ledger: string): Promise<void> => {
  const init = ['node', 'policy', 'init', '--yes', '--home', home, '--smallest-cohort', '3'];
  const counted = ['--privacy-budget', String(budget), '--privacy-ledger', ledger, '--data-set', 'diary'];
  expect(await weft(...init, ...counted).exited).toMatchObject({ code: 0 });
};
const start = ({ home, dataPath }: Place): WeftProcess =>
  weft('node', 'start', '--home', home, '--data', dataPath, '--threads', '1', '--json');
const printed = async (...args: string[]): Promise<string> => {
  const command = weft(...args);
  expect(await command.exited).toMatchObject({ code: 0 });
  return command.lines.join('\n');
};
const statusOf = async ({ home }: Place): Promise<NodeStatus> =>
  JSON.parse(await printed('node', 'status', '--home', home, '--json')) as NodeStatus;
const hasRefusal = ({ roundsDone }: RunDetailView): boolean =>
  roundsDone.some(({ nodes }) => nodes.some(({ reason }) => reason?.includes('(privacyBudget)') === true));
const refusal = { code: 'WEFT_PRIVACY_BUDGET_SPENT', rule: 'privacyBudget' };

test('a budget in the policy ends at the round that would pass it: at both ends, over a restart, and in another federation', async () => {
  const { federation, ana, runId } = await begin(3);
  const ledger = join(federation.folder, 'ledger');
  await writeBudget(ana, ledger);
  const first = start(ana);
  expect(await first.says('declined')).toMatchObject({ round: 2, ...refusal });
  expect(await readStatements({ folder: ledger }, delta)).toMatchObject([{ dataSet: 'diary', rounds: 2, runs: 1 }]);
  // the coordinator shows the rule, and so does the node
  await federation.runUntil(runId, hasRefusal);
  const shown = await printed('run', 'show', runId, '--home', join(federation.folder, 'coordinator'));
  expect(shown).toMatch(/declined: .*\(privacyBudget\)/);
  expect(await printed('node', 'history', '--home', ana.home)).toMatch(
    /with the code WEFT_PRIVACY_BUDGET_SPENT \(policy: privacyBudget: one more round would .*\); no update was sent/,
  );
  const { rounds, privacy } = await statusOf(ana);
  expect(rounds.map(({ epsilon }) => epsilon !== null && epsilon > 0)).toEqual([true, true]);
  expect(privacy).toMatchObject({ budget: { epsilon: budget, delta }, spent: [{ dataSet: 'diary', rounds: 2 }] });
  expect(privacy.spent[0]!.epsilon).toBeLessThan(budget);

  // charged before it left: for no update is there less in the ledger than in the record
  const sent = (await readSent(ana.home)).filter(({ kind }) => kind === 'update');
  expect(sent).toHaveLength(2);
  expect(sent.at(-1)).toMatchObject({ privacy: { spent: privacy.spent[0]!.epsilon, delta } });

  first.child.kill('SIGKILL');
  await first.exited;
  const again = start(ana);
  expect(await again.says('declined')).toMatchObject(refusal);
  again.child.kill('SIGKILL');

  const other = await begin(1);
  await writeBudget(other.ana, ledger);
  const elsewhere = start(other.ana);
  expect(await elsewhere.says('declined')).toMatchObject({ round: 0, ...refusal });
  expect((await statusOf(other.ana)).updatesSent).toBe(0);
  expect(await readStatements({ folder: ledger }, delta)).toMatchObject([{ rounds: 2, runs: 1, federations: 1 }]);
}, 120_000);

test('a kill between charge and sending costs once: the same bytes leave afterwards', async () => {
  const { federation, ana, runId } = await begin(1);
  await writeBudget(ana, 'home');
  const script = fileURLToPath(new URL('killed-before-sending.ts', import.meta.url));
  const killed = processes.script(script, ana.home, ana.dataPath);
  expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
  const ledger = join(ana.home, 'ledger');
  const charged = await readStatements({ folder: ledger }, delta);
  expect(charged).toMatchObject([{ rounds: 1 }]);
  // What may leave is in the record before it does.
  expect((await statusOf(ana)).updatesSent).toBe(1);
  const again = start(ana);
  const run = await federation.runUntil(runId, ({ state }) => state !== 'running');
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
  expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 3 });
  expect(await readStatements({ folder: ledger }, delta)).toEqual(charged);
  expect((await statusOf(ana)).rounds).toMatchObject([{ epsilon: charged[0]!.epsilon }]);
  expect((await statusOf(ana)).updatesSent).toBe(1);
  again.child.kill('SIGKILL');
}, 120_000);

test('a ledger with one bit changed keeps the agent from starting, says how to recover, and nothing reaches the coordinator', async () => {
  const { federation, ana, runId } = await begin(1);
  await writeBudget(ana, 'home');
  const agent = start(ana);
  await agent.says('round-ended');
  agent.child.kill('SIGKILL');
  await agent.exited;
  await federation.runUntil(runId, ({ state }) => state === 'finished');
  const file = join(ana.home, 'ledger', 'ledger.txt');
  const whole = readFileSync(file);
  writeFileSync(file, whole.with(200, whole[200]! ^ 1));
  const seen = await lastSeen(federation, ana);
  const damaged = start(ana);
  const { code, log } = await damaged.exited;
  expect(code).toBe(6);
  expect(log).toContain('the privacy ledger cannot be trusted: line 2: its hash does not match');
  expect(log).toContain('put back the newest copy of ledger.txt');
  expect(damaged.lines).toEqual([]);
  expect(await lastSeen(federation, ana)).toBe(seen);
  expect(await printed('node', 'status', '--home', ana.home)).toContain(
    'IT DOES NOT START [WEFT_PRIVACY_LEDGER_DAMAGED]',
  );
  writeFileSync(file, whole);
  await start(ana).says('connected');
}, 120_000);

const lastSeen = async (federation: TestFederation, { nodeId }: Place): Promise<number | null> =>
  (await federation.admin<{ id: string; lastSeenAt: number | null }[]>('GET', '/api/nodes')).find(
    ({ id }) => id === nodeId,
  )!.lastSeenAt;
