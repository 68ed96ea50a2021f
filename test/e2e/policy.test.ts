import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { NodeMessageSchema, SessionRequestSchema, type NodeMessage } from '@weft/proto';
import { defaultPolicy, metricNames, readSent, readWaiting, writePolicy } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runWeft } from '../run-weft.ts';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
beforeEach(async () => {
  federation = await openFederation();
});
afterEach(() => federation.close());

test('a run outside the policy is refused before anything is fetched, and all three see by which rules', async () => {
  const place = await federation.join('amina', sentences('amina', 60));
  const { id } = await federation.createRun({ cohort: { minimum: 1, maximum: 1 } });
  // the run is in plain mode, and adds no noise
  const policy = { privacyBudget: 3, privacyLedger: 'home' };
  const node = await federation.startNode('amina', place, { policy });
  await federation.admin('POST', `/api/runs/${id}/start`);
  const rule = 'secureAggregation, privacyBudget';
  expect(await node.event('declined')).toMatchObject({ code: 'WEFT_POLICY_REFUSED', rule });
  const run = await federation.runUntil(id, hasDeclined);
  const { reason } = run.roundsDone[0]!.nodes[0]!;
  expect(reason).toContain(`(${rule})`);
  // what the policy says stays with its operator
  expect(reason).not.toContain('requires');
  const shown = await runWeft(['run', 'show', id, '--home', join(federation.folder, 'coordinator')]);
  expect(shown.stdout).toContain('declined: nothing was trained or sent');
  await federation.admin('POST', `/api/runs/${id}/stop`);
  const history = (await runWeft(['node', 'history', '--home', place.home])).stdout;
  expect(history).toMatch(
    /code WEFT_POLICY_REFUSED \(policy: secureAggregation: the run is in plain mode.* requires secure aggregation; privacyBudget: .*\); no update was sent/,
  );
  const status = (await runWeft(['node', 'status', '--home', place.home])).stdout;
  expect(status).toContain('secureAggregation: the run is in plain mode');
  // it is asked again for each round, and again says no more than that
  const said = (await readSent(place.home)).map(({ kind }) => kind).filter((kind) => kind !== 'run');
  expect(new Set(said)).toEqual(new Set(['enrolment', 'decline']));
  await expect(stat(join(place.home, 'cache', 'models'))).rejects.toMatchObject({ code: 'ENOENT' });
});
const hasDeclined = ({ roundsDone }: RunDetailView): boolean =>
  roundsDone[0]?.nodes.some(({ stage }) => stage === 'declined') === true;

test('with too few rows of its own a node declines by the rule about them', async () => {
  const place = await federation.join('amina', sentences('amina', 60));
  const { id } = await federation.createRun({ cohort: { minimum: 1, maximum: 1 }, rounds: 1 });
  const node = await federation.startNode('amina', place, {
    policy: { secureAggregation: 'optional', leastExamples: 16, leastSteps: 4, memoryMiB: 1 },
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  expect(await node.event('declined')).toMatchObject({ rule: 'memoryMiB' });
  await node.agent.stop();
  await writeFile(place.dataPath, sentences('amina', 4));
  const poor = await federation.startNode('amina', place, { policy: { secureAggregation: 'optional' } });
  expect(await poor.event('declined')).toMatchObject({ rule: 'leastExamples' });
  await federation.admin('POST', `/api/runs/${id}/stop`);
});

test('where the policy lets no figure leave, none does, and the round goes on', async () => {
  const { id } = await federation.createRun({ rounds: 1 });
  const said = new Map<string, NodeMessage[]>();
  for (const name of ['amina', 'bruno']) {
    const messages: NodeMessage[] = [];
    said.set(name, messages);
    await federation.startNode(name, await federation.join(name, sentences(name, 60)), {
      policy: {
        secureAggregation: 'optional',
        metrics: name === 'amina' ? 'none' : metricNames,
        heldOutShare: 0.3,
        leastHeldOut: 1,
      },
      onSend: (bytes) => messages.push(...messagesIn(bytes)),
    });
  }
  await federation.admin('POST', `/api/runs/${id}/start`);
  const run = await federation.runUntil(id, ({ state }) => state === 'finished');
  expect(run).toMatchObject({ roundsCommitted: 1 });
  const times = run.roundsDone[0]!.nodes.map(({ trainingMs }) => trainingMs);
  expect(times.filter((time) => time === null)).toHaveLength(1);
  const figures = (name: string) => {
    const messages = said.get(name)!.map(({ kind }) => kind);
    return {
      speeds: messages.some(({ case: name, value }) => name === 'progress' && value.tokensPerSecond !== 0),
      times: messages.some(({ case: name, value }) => name === 'ready' && value.trainingMs !== 0n),
      scores: messages.some(({ case: name }) => name === 'evaluation'),
      ready: messages.some(({ case: name }) => name === 'ready'),
      declined: messages.flatMap(({ case: name, value }) => (name === 'decline' ? [value.message] : [])),
    };
  };
  const shown = { ready: true, speeds: true, times: true, scores: true, declined: [] };
  expect(figures('bruno')).toEqual(shown);
  // nor is it asked for the score of the last adapter
  expect(figures('amina')).toEqual({ ...shown, speeds: false, times: false, scores: false });
});
/** Of what left: the messages of a session. */
const messagesIn = (bytes: Uint8Array): NodeMessage[] => {
  try {
    const { envelope } = fromBinary(SessionRequestSchema, bytes);
    const message = fromBinary(NodeMessageSchema, envelope!.body);
    return message.kind.case === undefined ? [] : [message];
  } catch {
    return [];
  }
};

test('approval by hand: a run waits until the operator says yes to its spec, and is then taken', async () => {
  const place = await federation.join('amina', sentences('amina', 60));
  await federation.startNode('bruno', await federation.join('bruno', sentences('bruno', 60)));
  await writePolicy(place.home, { ...defaultPolicy, secureAggregation: 'optional', approval: 'by-hand' });
  const { id } = await federation.createRun({ cohort: { minimum: 1, maximum: 2 }, rounds: 1000 });
  const node = await federation.startNode('amina', place, { policy: undefined });
  await federation.admin('POST', `/api/runs/${id}/start`);
  expect(await node.event('declined')).toMatchObject({ rule: 'approval' });
  expect(await readWaiting(place.home)).toMatchObject([{ runId: id, approved: false }]);
  const shown = (await runWeft(['node', 'policy', 'show', '--home', place.home])).stdout;
  expect(shown).toContain('WAITS FOR APPROVAL: 1000 rounds of 4 steps of 4 rows, 32 tokens at most each');
  expect(await runWeft(['node', 'policy', 'approve', 'end to end', '--home', place.home])).toMatchObject({ status: 0 });
  await node.event('trained');
  await federation.admin('POST', `/api/runs/${id}/stop`);
});

test('with a policy that is mistaken a node does not start, and a loosening flag does not get round a file', async () => {
  const { home, dataPath } = await federation.join('amina', sentences('amina', 60));
  const start = ['node', 'start', '--home', home, '--data', dataPath];
  await writeFile(join(home, 'policy.yaml'), 'smallestCohrt: 10\n', { mode: 0o600 });
  for (const command of [start, ['node', 'policy', 'show', '--home', home]]) {
    const { status, stderr } = await runWeft(command);
    expect(status).toBe(2);
    expect(stderr).toContain('smallestCohrt: there is no such key; did you mean smallestCohort?');
  }
  await writeFile(join(home, 'policy.yaml'), 'smallestCohort: 10\n');
  expect((await runWeft([...start, '--small-cohort'])).stderr).toContain('policy.yaml decides');
});
