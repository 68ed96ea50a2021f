import { mkdir, mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { SecureMessageSchema, type SecureMessage } from '@weft/proto';
import { createIdentity, log, merkle, type RunId, type WeftError } from '@weft/shared';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { connectNode, federationOf } from '../../test/connected-node.ts';
import { startScriptedCoordinator, type ScriptedCoordinator } from '../../test/scripted-coordinator.ts';
import {
  receiptOf,
  SecureSession,
  sessionPolicy,
  type SecureSessionOptions,
  type ToAgent,
} from '../../test/secure-session.ts';
import { readSent } from '../home/sent-record.ts';
import { createPrivacyLedger, ledgerIn } from '../ledger/privacy-ledger.ts';
import { readDistrust } from '../log/distrust.ts';
import { createLogWatch } from '../log/log-watch.ts';
import { readLoggedAdapters } from '../log/logged-adapters.ts';
import { readOwed } from '../log/owed-rounds.ts';
import { readSeenLog, writeSeenLog } from '../log/seen-log.ts';
import { checkPolicy } from '../policy/parse-policy.ts';
import { createAnsweredRounds } from '../round/answered-rounds.ts';
import { createPendingUpdates } from '../round/pending-updates.ts';
import type { Connection } from '../session/connection.ts';
import { createSecureRound } from './secure-round.ts';

/** A node that is killed before each write and each fsync, and comes back to what is on its disk by then. */

const identity = createIdentity().identity;
const node = createIdentity().identity;
const [runId, otherRun] = ['ab', 'cd'].map((byte) => `r_${byte.repeat(16)}` as RunId) as [RunId, RunId];
const wholeSession = ['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'];
const federationLog = new log.LogTree();
for (let entry = 0; entry < 9; entry++) federationLog.append(merkle.leafHash(Buffer.from([entry])));

let folder: string;
let coordinator: ScriptedCoordinator;
let connected: ReturnType<typeof connectNode>;
let uploads = 0;
/** Open files of processes that ended. */
const left: FileHandle[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-killed-'));
  coordinator = await startScriptedCoordinator({
    identity,
    receipt(update) {
      uploads += 1;
      return receiptOf(update, identity);
    },
    async session(session) {
      await session.shakeHands();
      while ((await session.hear()) !== undefined);
    },
  });
  connected = connectNode(federationOf(coordinator, node), node);
});
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  for (const file of left) await file.close();
  connected.leave();
  coordinator.close();
  await rm(folder, { recursive: true });
});

interface Life {
  /** Writes and fsyncs so far. */
  steps: number;
  isOver: boolean;
  readonly over: Promise<void>;
}

/**
 * What this process has not written when it ends never gets written, and nothing that it does afterwards is heard. What it
 * has written outlives it: nothing is ever flushed here, since the machine goes on.
 */
async function beginLife(endsBefore: number): Promise<Life> {
  const probe = await open(folder);
  const files = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  vi.restoreAllMocks();
  const over = Promise.withResolvers<void>();
  const never = new Promise<never>(() => {});
  const life = { steps: 0, isOver: false, over: over.promise };
  const endsNow = (file: FileHandle): boolean => {
    if (!life.isOver && life.steps++ !== endsBefore) return false;
    life.isOver = true;
    over.resolve();
    left.push(file);
    return true;
  };
  const write = Reflect.get(files, 'writeFile') as (this: FileHandle, ...content: unknown[]) => Promise<void>;
  vi.spyOn(files, 'writeFile').mockImplementation(function (this: FileHandle, ...content) {
    return endsNow(this) ? never : write.apply(this, content);
  });
  vi.spyOn(files, 'sync').mockImplementation(function (this: FileHandle) {
    return endsNow(this) ? never : Promise.resolve();
  });
  return life;
}

/** The node's side of one round in one process, by the product's parts: what the coordinator tells it, and what it does. */
async function startProcess(home: string, secure: SecureSession, life: Life) {
  const inbox: SecureMessage[] = [];
  const toAgent: ToAgent = {
    say: (kind) => kind.case === 'secure' && inbox.push(create(SecureMessageSchema, kind.value)),
  };
  const pendingFolder = join(home, 'pending');
  const pending = createPendingUpdates(pendingFolder);
  const update = (await pending.find(secure.runId, secure.round))!;
  const federation = () => federationOf(coordinator, node);
  const emit = (): void => {};
  const connection: Connection = {
    ...connected.connection,
    say(said) {
      if (said.case === 'secure' && !life.isOver) secure.take(create(SecureMessageSchema, said.value));
      return true;
    },
  };
  const policy = checkPolicy(sessionPolicy, 'the session');
  const logWatch = createLogWatch({
    home,
    identity: node,
    connection,
    federation,
    emit,
    owed: await readOwed(home),
    adapters: await readLoggedAdapters(home),
    witness: undefined,
  });
  const round = createSecureRound(
    update,
    {
      home,
      connection,
      federation,
      emit,
      policy,
      identity: node,
      pending,
      pendingFolder,
      ledger: createPrivacyLedger({ place: ledgerIn(home), dataSet: 'data' }),
      answered: createAnsweredRounds(home, policy),
      logWatch,
    },
    { signal: connected.signal, onSent: () => {}, onEnded: () => {} },
  );
  let refusal: WeftError | undefined;
  const work = async (): Promise<void> => {
    // A turn without a message: the other members have said all that they have to say.
    for (let idle = 0; idle < 3; idle++) {
      for (let message = inbox.shift(); message && !refusal; message = inbox.shift()) {
        idle = 0;
        await round.take(message).catch((error: WeftError) => (refusal = error));
      }
      await nextTurn();
    }
    if (refusal) await pending.remove(secure.runId, secure.round);
    round.end();
    await logWatch.stop();
  };
  return {
    toAgent,
    /** Until nothing is left to do, or the process is killed. */
    live: () => Promise.race([work(), life.over]),
    refused: () => refusal?.code,
  };
}

/** An honest session, whose log goes on from whatever this node has seen. */
async function sessionOf(
  home: string,
  of: Pick<SecureSessionOptions, 'runId' | 'round' | 'tell'>,
  logSize: number,
): Promise<SecureSession> {
  const { size } = await readSeenLog(home);
  const offered = {
    head: federationLog.head(logSize),
    proofFrom: (from: number) => federationLog.consistencyProof(from, logSize),
  };
  const secure = new SecureSession({ coordinator: identity, node, ...of, logSeen: size, log: offered });
  await secure.leaveUpdate(createPendingUpdates(join(home, 'pending')));
  return secure;
}

/** @returns whether the process lived to the end of its session */
async function playKilled(home: string, killedBefore: number): Promise<boolean> {
  await mkdir(join(home, 'pending'), { recursive: true });
  await writeSeenLog(home, { ...federationLog.head(3), leastSize: 3 });
  const uploadsBefore = uploads;
  const secure = await sessionOf(home, { runId, round: 4 }, 6);
  const life = await beginLife(killedBefore);
  const first = await startProcess(home, secure, life);
  secure.begin(first.toAgent);
  await first.live();
  const recorded = (await readSent(home)).map(({ kind }) => kind);
  if (uploads > uploadsBefore) expect(recorded).toContain('update');
  if (secure.heard.includes('cutAck')) expect(await readOwed(home)).toMatchObject([{ runId, round: 4, cut: {} }]);

  const survivor = await beginLife(Infinity);
  if (life.isOver) {
    const second = await startProcess(home, secure, survivor);
    secure.greet(second.toAgent, (await readSeenLog(home)).size);
    await second.live();
    expect(second.refused()).toBeOneOf([undefined, 'WEFT_SECAGG_REFUSED']);
  }
  const { heard } = secure;
  expect([...new Set(heard)]).toEqual(wholeSession.filter((name) => heard.includes(name)));
  // The same bytes or none.
  for (const bodies of secure.bodies.values()) expect(bodies.size).toBe(1);

  // The same update, trained anew: whatever is offered for that round, it enters no other session.
  await createPendingUpdates(join(home, 'pending')).remove(runId, 4);
  const again = await sessionOf(home, { runId, round: 4 }, 6);
  const third = await startProcess(home, again, survivor);
  again.begin(third.toAgent);
  await third.live();
  expect(again.heard).toEqual([]);

  const next = await sessionOf(home, { runId: otherRun, tell: (said) => (said.name === 'offer' ? [said] : []) }, 9);
  const fourth = await startProcess(home, next, survivor);
  next.begin(fourth.toAgent);
  await fourth.live();
  expect(next.heard).toEqual(['keyAdvert']);
  expect(await readDistrust(home)).toEqual([]);
  return !life.isOver;
}

test('trusts an honest coordinator as before, begins no round twice, and has written down what left', async () => {
  let killedBefore = 0;
  while (!(await playKilled(join(folder, String(killedBefore)), killedBefore))) killedBefore += 1;
  expect(killedBefore).toBeGreaterThan(wholeSession.length);
});
