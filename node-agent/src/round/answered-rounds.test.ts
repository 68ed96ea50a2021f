import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { Factor, OfferKind, RoundOfferSchema, UpdateSchema, type Decline } from '@weft/proto';
import {
  domains,
  isWeftError,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  sha256,
  toFederationId,
  type Identity,
} from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startScriptedCoordinator, type ScriptedSession } from '../../test/scripted-coordinator.ts';
import { startNode } from '../agent.ts';
import { joinFederation } from '../enrol.ts';
import { openHome } from '../home/home.ts';
import { createAnsweredRounds, mostUpdates } from './answered-rounds.ts';
import { createPendingUpdates } from './pending-updates.ts';

const runId = `r_${'ab'.repeat(16)}`;
const spec = parseRunSpec({
  name: 'a run',
  baseModel: { name: 'm', sha256: sha256('model') },
  adapter: {},
  training: { steps: 8 },
  aggregation: { mode: 'plain', clipNormL2: 2 },
  cohort: { minimum: 3, maximum: 3 },
  rounds: 2,
});
const policy = { mostRounds: 1000 };
const of = (round: number, payload = `of round ${round}`) => ({ runId, round, spec, payloadSha256: sha256(payload) });

let home: string;
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'weft-answered-'))));
afterEach(() => rm(home, { recursive: true }));
const answerAll = async (): Promise<void> => {
  const answered = createAnsweredRounds(home, policy);
  for (let round = 1; round <= mostUpdates(spec, policy); round++) await answered.note(of(round));
};
const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (isWeftError(error) ? (error.details['rule'] ?? error.code) : error),
  );

test('as many updates leave as a run has rounds, and as many again for what is tried once more', async () => {
  expect([1, 2, 3, 10].map((rounds) => mostUpdates({ rounds }, policy))).toEqual([4, 5, 6, 20]);
  expect(mostUpdates({ rounds: 10 }, { mostRounds: 4 })).toBe(8);
  await answerAll();
  // another process of this node
  const answered = createAnsweredRounds(home, policy);
  expect(await answered.refusal(of(6))).toMatchObject({ rule: 'mostRounds' });
  expect(await refusalOf(answered.note(of(6)))).toBe('mostRounds');
  // another update of an answered round is one more; the same one is none
  expect(await refusalOf(answered.note(of(5, 'another')))).toBe('mostRounds');
  expect(await answered.refusal(of(5))).toBeUndefined();
  await answered.note(of(5));
  await answered.note({ ...of(1), runId: `r_${'cd'.repeat(16)}` });
  expect((await stat(join(home, 'answered', `${runId}.json`))).mode & 0o777).toBe(0o600);
});

test('none that leave at once is lost, and a damaged book refuses', async () => {
  const answered = createAnsweredRounds(home, policy);
  await Promise.all([1, 2, 3, 4, 5].map((round) => answered.note(of(round))));
  expect(await answered.refusal(of(6))).toMatchObject({ rule: 'mostRounds' });
  await writeFile(join(home, 'answered', `${runId}.json`), '{"updates":[]');
  expect(await refusalOf(answered.refusal(of(6)))).toBe('WEFT_NODE_HOME_DAMAGED');
});

test('an adapter is scored once in a run, and no more of them than updates may leave, and one', async () => {
  const measured: string[] = [];
  const score = (adapter: string, answered = createAnsweredRounds(home, policy)) =>
    answered.score(of(0), sha256(adapter), () => {
      measured.push(adapter);
      return Promise.resolve({ lossSum: measured.length, tokens: 10 });
    });
  const adapters = ['a', 'b', 'c', 'd', 'e', 'f'];
  expect(adapters).toHaveLength(mostUpdates(spec, policy) + 1);
  for (const adapter of [...adapters, 'a']) await score(adapter);
  expect(measured).toEqual(adapters);
  expect(await score('b')).toMatchObject({ lossSum: 2, tokens: 10 });
  expect(await refusalOf(score('g'))).toBe('mostRounds');
  expect(measured).toEqual(adapters);
  // what leaves beside it is kept
  await createAnsweredRounds(home, policy).note(of(1));
  expect(await score('b')).toMatchObject({ lossSum: 2 });
});

test('an agent declines one round more by the rule, fetches nothing for it, and lets no update leave', async () => {
  const line = Promise.withResolvers<ScriptedSession>();
  const declines = [Promise.withResolvers<Decline>(), Promise.withResolvers<Decline>()];
  const waiting = declines.values();
  const coordinator = await startScriptedCoordinator({
    async session(session) {
      await session.shakeHands();
      line.resolve(session);
      for (let said = await session.hear(); said !== undefined; said = await session.hear())
        if (said.kind.case === 'decline') waiting.next().value?.resolve(said.kind.value);
    },
  });
  const { identity } = coordinator;
  await joinFederation({ home, invite: coordinator.invite(), nodeName: 'one' });
  await answerAll();
  // trained before this process began
  const opened = await openHome(home);
  await leaveUpdate(home, 7, opened.identity);
  await opened.release();
  const dataPath = join(home, 'data.txt');
  await writeFile(dataPath, 'a line of text\n'.repeat(20));
  const agent = await startNode({ home, dataPaths: [dataPath], policy: { secureAggregation: 'optional' } });
  try {
    const session = await line.promise;
    const adapter = { name: 'adapter.safetensors', sha256: sha256('adapter'), sizeBytes: 10n };
    const federationId = toFederationId(identity.publicKey);
    session.say({ case: 'cohort', value: { runId, round: 7, nodeIds: [agent.federation.nodeId] } });
    const declined = { runId, code: 'WEFT_POLICY_REFUSED', message: expect.stringContaining('(mostRounds)') as string };
    expect(await declines[0]!.promise).toMatchObject({ ...declined, round: 7 });
    const body = {
      federationId,
      runId,
      round: 8,
      kind: OfferKind.TRAIN,
      runSpec: runSpecBytes(spec),
      baseModelSha256: spec.baseModel.sha256,
      layoutSha256: sha256('layout'),
      adapter,
      factor: Factor.B,
      clipNormL2: 2,
    };
    session.say({ case: 'roundOffer', value: sealEnvelope(domains.roundOffer, RoundOfferSchema, body, identity) });
    expect(await declines[1]!.promise).toMatchObject({ ...declined, round: 8 });
    expect(coordinator.calls).toEqual(['enroll', 'session']);
  } finally {
    await agent.stop();
    coordinator.close();
  }
});

async function leaveUpdate(home: string, round: number, node: Identity): Promise<void> {
  const payload = Buffer.alloc(8, round);
  const body = create(UpdateSchema, { runId, round, payloadSha256: sha256(payload), payloadBytes: 8n, values: 4n });
  const facts = { runName: spec.name, spec, clipNormL2: 2, normL2: 1, trainingMs: 1 };
  const update = sealEnvelope(domains.update, UpdateSchema, body, node);
  await createPendingUpdates(join(home, 'pending')).save({ update, ...facts }, payload);
}
