import { mkdtemp, readdir, readFile, rm, utimes, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Decline } from '@weft/proto';
import { createIdentity, secagg, sha256, type Identity } from '@weft/shared';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  startScriptedCoordinator,
  type ScriptedCoordinator,
  type ScriptedSession,
} from '../../test/scripted-coordinator.ts';
import { receiptOf, SecureSession, sessionPolicy, spec, type Told } from '../../test/secure-session.ts';
import { startNode, type NodeAgent } from '../agent.ts';
import { joinFederation } from '../enrol.ts';
import type { NodeEvent } from '../events.ts';
import { openHome } from '../home/home.ts';
import { readSent } from '../home/sent-record.ts';
import { dismissDistrust } from '../log/distrust.ts';
import { createAnsweredRounds, mostUpdates } from '../round/answered-rounds.ts';
import { createPendingUpdates } from '../round/pending-updates.ts';
import { readStatus } from '../status.ts';

const identity = createIdentity().identity;
const [run, otherRun, thirdRun, lastRun] = ['ab', 'cd', 'ef', '01'].map((byte) => `r_${byte.repeat(16)}`) as [
  string,
  string,
  string,
  string,
];
const signed = (body: Uint8Array) => ({ body, signature: identity.sign(secagg.signedMessage(body)) });
const wholeSession = ['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'];

let folder: string;
let home: string;
let node: Identity;
let coordinator: ScriptedCoordinator;
let agent: NodeAgent;
/** The open session with the agent. */
let line: ScriptedSession;
let sessions: SecureSession[];
let declines: Decline[];
let events: NodeEvent[];
let waiting: Set<() => void>;

const changed = (): void => {
  for (const look of waiting) look();
};
const until = <T>(find: () => T | undefined): Promise<T> =>
  new Promise((resolve) => {
    const look = (): void => {
      const found = find();
      if (found === undefined) return;
      waiting.delete(look);
      resolve(found);
    };
    waiting.add(look);
    look();
  });
const declineOf = (runId: string): Promise<Decline> => until(() => declines.find((decline) => decline.runId === runId));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-secure-'));
  home = join(folder, 'node');
  [sessions, declines, events, waiting] = [[], [], [], new Set()];
  await writeFile(join(folder, 'data.txt'), 'a line of text\n'.repeat(20));
  coordinator = await startScriptedCoordinator({
    identity,
    receipt: (update) => receiptOf(update, identity),
    async session(session) {
      await session.shakeHands();
      line = session;
      for (let said = await session.hear(); said !== undefined; said = await session.hear()) {
        const { kind } = said;
        if (kind.case === 'decline') declines.push(kind.value);
        if (kind.case === 'secure') for (const secure of sessions) secure.take(kind.value);
        changed();
      }
    },
  });
  await joinFederation({ home, invite: coordinator.invite(), nodeName: 'one' });
  const opened = await openHome(home);
  node = opened.identity;
  await opened.release();
  await startAgent();
});
afterEach(async () => {
  await agent.stop();
  coordinator.close();
  await rm(folder, { recursive: true, force: true });
});

async function startAgent(): Promise<void> {
  const connected = Promise.withResolvers<void>();
  agent = await startNode({
    home,
    dataPaths: [join(folder, 'data.txt')],
    policy: sessionPolicy,
    backoff: { firstMs: 5, maxMs: 20 },
    onEvent(event) {
      events.push(event);
      if (event.event === 'connected') connected.resolve();
      changed();
    },
  });
  await connected.promise;
}

/** A secure round of this run, for which the agent has trained. */
async function begin(runId: string, tell?: (message: Told) => readonly Told[]): Promise<SecureSession> {
  const logSeen = sessions.some(({ heard }) => heard.includes('keyAdvert')) ? 1 : 0;
  const secure = new SecureSession({ coordinator: identity, node, runId, logSeen, ...(tell && { tell }) });
  await secure.leaveUpdate(createPendingUpdates(join(home, 'pending')));
  sessions.push(secure);
  secure.begin(line);
  return secure;
}
const saidAll = (secure: SecureSession, names: readonly string[]): Promise<true> =>
  until(() => names.every((name) => secure.heard.includes(name)) || undefined);

test('a node goes through a whole session with an honest coordinator', async () => {
  const secure = await begin(run);
  await saidAll(secure, wholeSession);
  expect(secure.heard).toEqual(wholeSession);
  expect((await readStatus(home)).log).toMatchObject({ owedRounds: 1, distrusted: [] });
});

test('a node that gave the run all that it may takes part, and lets no masked update leave', async () => {
  const answered = createAnsweredRounds(home, { mostRounds: 1000 });
  for (let round = 1; round <= mostUpdates(spec, { mostRounds: 1000 }); round++)
    await answered.note({ runId: run, round, spec, payloadSha256: sha256(`${round}`) });
  const secure = await begin(run);
  expect(await declineOf(run)).toMatchObject({ message: expect.stringContaining('(mostRounds)') as string });
  expect(secure.heard).toEqual(['keyAdvert', 'shares']);
  expect(coordinator.calls).not.toContain('upload');
});

test('a node answers no offer of another round than it trained for, and none that would keep its secrets for longer than the spec says', async () => {
  const lies: Partial<secagg.Body<'offer'>>[] = [
    { round: 7 },
    { runId: Buffer.alloc(16, 9) },
    { previousResult: Buffer.alloc(32, 9) },
    { deadlines: { advertMs: 60_000, sharesMs: 2 ** 32 - 1, inputMs: 60_000, cutAckMs: 60_000, openingMs: 60_000 } },
  ];
  for (const [k, lie] of lies.entries()) {
    const runId = [run, otherRun, thirdRun, lastRun][k]!;
    const secure = await begin(runId, (message) => {
      const body = secagg.encodeBody('offer', { ...secagg.decodeBody('offer', message.body), ...lie });
      return [{ ...message, ...signed(body) }];
    });
    expect(await declineOf(runId)).toMatchObject({ code: 'WEFT_SECAGG_REFUSED' });
    expect(secure.heard).toEqual([]);
  }
});

describe('what a session needs is deleted', () => {
  const changedOffer = ({ body }: Told, change: Partial<secagg.Body<'offer'>>) =>
    signed(secagg.encodeBody('offer', { ...secagg.decodeBody('offer', body), ...change }));
  const declinesKept = async () => (await readSent(home)).filter(({ kind }) => kind === 'decline');
  /** Resolves when nothing of any round lies there any more. */
  const emptied = async (): Promise<void> => {
    for await (const _ of watch(join(home, 'pending'))) if ((await readdir(join(home, 'pending'))).length === 0) return;
  };

  test('when a step takes too long: the coordinator hears of it, and the operator can read it', async () => {
    const gone = emptied();
    const deadlines = { advertMs: 1, sharesMs: 1, inputMs: 1, cutAckMs: 1, openingMs: 1 };
    const secure = await begin(run, (message) =>
      message.name === 'offer' ? [{ ...message, ...changedOffer(message, { deadlines }) }] : [],
    );
    expect(await declineOf(run)).toMatchObject({ round: 0, code: 'WEFT_SECAGG_REFUSED' });
    await gone;
    expect(secure.heard).toEqual(['keyAdvert']);
    expect(await declinesKept()).toMatchObject([{ runId: run, round: 0, code: 'WEFT_SECAGG_REFUSED' }]);
  });

  test.each([
    { last: 'shares', held: 'shareDelivery', declined: [{ code: 'WEFT_NODE_UPDATE_LOST' }] },
    { last: 'maskedInput', held: 'receipt', declined: [{ code: 'WEFT_NODE_UPDATE_LOST', hadLeft: true }] },
    { last: 'opening', held: 'nothing', declined: [] },
  ])(
    'when this node comes back after its time, and nobody tells it that the round is over: $last was said',
    async ({ last, held, declined }) => {
      let holds = false;
      const secure = await begin(run, (message) => {
        if (message.name === held) holds = true;
        return holds ? [] : [message];
      });
      await saidAll(secure, [last]);
      await agent.stop();
      const journal = join(home, 'pending', `${run}.0.journal`);
      const longAgo = new Date(Date.now() - 5 * 120_000);
      await utimes(journal, longAgo, longAgo);
      const gone = emptied();
      await startAgent();
      await gone;
      expect(await declinesKept()).toMatchObject(declined);
      expect(await declinesKept()).toHaveLength(declined.length);
    },
  );
});

describe('a node that sent its masked update signs no cut', () => {
  const changedBody = ({ body }: Told, change: Partial<secagg.Body<'receipt'>>): Uint8Array =>
    secagg.encodeBody('receipt', { ...secagg.decodeBody('receipt', body), ...change });
  const somebody = createIdentity().identity;
  const cases: [string, (receipt: Told) => readonly Told[]][] = [
    ['without a receipt', () => []],
    [
      'where the receipt is for another input',
      (receipt) => [{ ...receipt, ...signed(changedBody(receipt, { maskedInputHash: Buffer.alloc(32, 9) })) }],
    ],
    [
      'where somebody else signed the receipt',
      (receipt) => [{ ...receipt, signature: somebody.sign(secagg.signedMessage(receipt.body)) }],
    ],
    [
      'where the receipt promises a time that had passed',
      (receipt) => [{ ...receipt, ...signed(changedBody(receipt, { loggedByMs: 1n })) }],
    ],
    [
      'where the receipt promises a time that never comes',
      (receipt) => [{ ...receipt, ...signed(changedBody(receipt, { loggedByMs: 1n << 60n })) }],
    ],
  ];
  test.each(cases)('%s', async (_, instead) => {
    const secure = await begin(run, (message) => (message.name === 'receipt' ? instead(message) : [message]));
    expect(await declineOf(run)).toMatchObject({ code: 'WEFT_SECAGG_REFUSED' });
    expect(secure.heard).toEqual(['keyAdvert', 'shares', 'maskedInput']);
    expect((await readStatus(home)).log.owedRounds).toBe(0);
  });
});

describe('a coordinator that signs two cuts of one session', () => {
  const otherCut = (secure: SecureSession, { body, proof }: Told): Told => ({
    ...secure.sign(
      'cut',
      secagg.encodeBody('cut', { ...secagg.decodeBody('cut', body), inputRoot: Buffer.alloc(32, 9) }),
    ),
    proof,
  });

  test.each([
    ['before its cut is opened', ['keyAdvert', 'shares', 'maskedInput', 'cutAck']],
    ['after its cut was opened', wholeSession],
  ])(
    'is caught %s: both are kept, and no answer of this federation leaves until the operator says so',
    async (_, said) => {
      let cut: Told | undefined;
      const opens = said.includes('opening');
      // Of another run, and in its middle: it is not answered any more either.
      const beside = await begin(otherRun, (message) => (message.name === 'shareDelivery' ? [] : [message]));
      await saidAll(beside, ['shares']);
      const secure = await begin(run, (message) => {
        if (message.name === 'cut') cut = message;
        return message.name === 'unmask' && !opens ? [] : [message];
      });
      await saidAll(secure, said);
      secure.tellAgent(otherCut(secure, cut!));

      expect(await declineOf(run)).toMatchObject({ code: 'WEFT_SECAGG_REFUSED' });
      expect(secure.heard).toEqual(said);
      const told = await until(() => events.find((event) => event.event === 'log-distrusted'));
      expect(told).toMatchObject({ check: 'oneCut', scope: 'federation', runId: run, round: 0 });
      const kept = JSON.parse(await readFile(join(home, 'evidence', told.evidence), 'utf8')) as {
        statements: { body: string; signature: string }[];
      };
      const bytes = (base64: string): Uint8Array => Buffer.from(base64, 'base64');
      const cuts = kept.statements.map(({ body, signature }) => ({ body: bytes(body), signature: bytes(signature) }));
      expect(cuts.map((statement) => secagg.verifySigned(statement, identity.publicKey))).toEqual([true, true]);
      const [one, two] = cuts.map(({ body }) => secagg.decodeBody('cut', body));
      expect(one!.sessionId).toEqual(two!.sessionId);
      expect(one!.inputRoot).not.toEqual(two!.inputRoot);

      beside.tellAgent(beside.sign('shareDelivery', new Uint8Array()));
      expect(await declineOf(otherRun)).toMatchObject({ code: 'WEFT_LOG_DISTRUSTED' });
      await agent.stop();
      await startAgent();
      const later = await begin(thirdRun);
      expect(await declineOf(thirdRun)).toMatchObject({ code: 'WEFT_LOG_DISTRUSTED' });
      expect([...beside.heard, ...later.heard]).toEqual(['keyAdvert', 'shares']);

      await dismissDistrust(home, 'federation');
      await saidAll(await begin(lastRun), wholeSession);
    },
  );
});
