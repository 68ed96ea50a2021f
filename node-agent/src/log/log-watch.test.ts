import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Factor, OfferKind, RoundOfferSchema, type LogSeen, type NodeMessage } from '@weft/proto';
import {
  createIdentity,
  domains,
  log,
  merkle,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  secagg,
  sha256,
  toFederationId,
} from '@weft/shared';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  startScriptedCoordinator,
  type ScriptedCoordinator,
  type ScriptedSession,
} from '../../test/scripted-coordinator.ts';
import { signedHistory } from '../../test/signed-history.ts';
import { startNode, type NodeAgent, type NodeOptions } from '../agent.ts';
import { joinFederation } from '../enrol.ts';
import type { NodeEvent } from '../events.ts';
import { readSent } from '../home/sent-record.ts';
import { readStatus } from '../status.ts';
import { createConnectedTimers } from './connected-timers.ts';
import { dismissDistrust } from './distrust.ts';
import { writeOwed, type OwedRound } from './owed-rounds.ts';

const runId = `r_${'ab'.repeat(16)}`;
const runBytes = Buffer.from(runId.slice(2), 'hex');
const hash = (byte: number): Uint8Array => Buffer.alloc(32, byte);
const hex = (byte: number): string => Buffer.from(hash(byte)).toString('hex');
const identity = createIdentity().identity;

const header = { at: 5n, runId: runBytes, round: 4 };
const cut = (cutHash = hash(6)): Uint8Array =>
  log.encodeLeaf('cut', { ...header, cutHash, inputRoot: hash(7), surviving: 3, dropped: 0 });
const updates = [hash(31), hash(32)];
const result = log.encodeLeaf('result', {
  ...header,
  previousAdapter: hash(20),
  adapterHash: hash(21),
  updates: 2,
  updateRoot: log.sortedRoot(updates),
  weightSum: 2n,
  gate: 0,
  nextClipNorm: 0n,
});
const others = [hash(1), hash(2), hash(3)];

/** A history that the coordinator signs, and what it shows of it. */
function history(entries: readonly Uint8Array[]) {
  const updateTree = new log.LogTree();
  for (const update of updates) updateTree.append(merkle.leafHash(update));
  const { text, head, placed } = signedHistory(entries, identity);
  return {
    text,
    proof: (fromSize: number, round?: { leaves: readonly Uint8Array[] }) => ({
      ...head(fromSize),
      runId: round ? runId : '',
      round: round ? 4 : 0,
      leaves: (round?.leaves ?? []).map(placed),
      update: { place: 1n, size: 2n, hashes: updateTree.inclusionProof(1) },
    }),
  };
}

const offer = secagg.encodeBody('receipt', {
  roundId: hash(1),
  sessionId: hash(2),
  index: 1,
  maskedInputHash: hash(3),
  loggedByMs: 1_700_000_060_000n,
});
/** As an earlier process of this node kept it when the coordinator's receipt came. */
const owed = (change: Partial<OwedRound> = {}): OwedRound => ({
  runId,
  runName: 'a run',
  round: 4,
  adapterHash: hex(20),
  updateHash: hex(32),
  mayBeLeftOut: false,
  withinMs: 3_600_000,
  statements: [
    {
      body: Buffer.from(offer).toString('base64'),
      signature: Buffer.from(identity.sign(secagg.signedMessage(offer))).toString('base64'),
    },
  ],
  cut: { cutHash: hex(6), inputRoot: hex(7) },
  cutShown: false,
  ...change,
});

let home: string;
let coordinator: ScriptedCoordinator | undefined;
let agents: NodeAgent[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-watch-'));
});
afterEach(async () => {
  for (const agent of agents) await agent.stop();
  agents = [];
  coordinator?.close();
  await rm(home, { recursive: true, force: true });
});

/** Whatever else the node says meanwhile is not what is waited for. */
async function hears<C extends NonNullable<NodeMessage['kind']['case']>>(session: ScriptedSession, wanted: C) {
  for (let said = await session.hear(); said !== undefined; said = await session.hear())
    if (said.kind.case === wanted) return said.kind.value as Extract<NodeMessage['kind'], { case: C }>['value'];
  throw new Error(`the node left before it said ${wanted}`);
}

/** A real agent in front of a coordinator that a test plays. */
async function play(
  script: (session: ScriptedSession, seen: LogSeen) => Promise<void>,
  changes: Partial<NodeOptions> = {},
) {
  const data = join(home, 'data.txt');
  await writeFile(data, 'a line of text\n'.repeat(20));
  coordinator?.close();
  coordinator = await startScriptedCoordinator({
    identity,
    async session(session) {
      await session.shakeHands();
      await script(session, await hears(session, 'logSeen'));
    },
  });
  const nodeHome = join(home, 'node');
  await joinFederation({ home: nodeHome, invite: coordinator.invite(), nodeName: 'one' });
  const events: NodeEvent[] = [];
  const waiting = new Set<() => void>();
  const agent = await startNode({
    home: nodeHome,
    dataPaths: [data],
    backoff: { firstMs: 5, maxMs: 20 },
    onEvent(event) {
      events.push(event);
      for (const look of waiting) look();
    },
    ...changes,
  });
  agents.push(agent);
  return {
    agent,
    event: <E extends NodeEvent['event']>(kind: E) =>
      new Promise<Extract<NodeEvent, { event: E }>>((resolve) => {
        const look = (): void => {
          const found = events.find((event) => event.event === kind);
          if (found) resolve(found as Extract<NodeEvent, { event: E }>);
        };
        waiting.add(look);
        look();
      }),
  };
}
const evidenceIn = async (name: string) =>
  JSON.parse(await readFile(join(home, 'node', 'evidence', name), 'utf8')) as Record<string, unknown[]>;

describe('a node that is owed the end of a round', () => {
  test('asks for it, and is content with a log that holds its cut and its update', async () => {
    await writeOwed(join(home, 'node'), owed());
    const { event } = await play(async (session, seen) => {
      expect(seen.awaited).toMatchObject([{ runId, round: 4 }]);
      const leaves = [cut(), result];
      session.say({ case: 'logProof', value: history([...others, ...leaves]).proof(0, { leaves }) });
    });
    expect(await event('log-shown')).toMatchObject({ end: 'result', logSize: 5, leftOut: false });
    expect(await readdir(join(home, 'node', 'owed'))).toEqual([]);
    expect((await readSent(join(home, 'node'))).at(-1)).toMatchObject({ kind: 'log', outcome: 'result' });
  });

  test('keeps the signed promise where nothing is shown in time, takes no further round of the run, and does again when the operator says so', async () => {
    await writeOwed(join(home, 'node'), owed({ withinMs: 50 }));
    const spec = parseRunSpec({
      name: 'a run',
      baseModel: { name: 'm', sha256: sha256('model') },
      adapter: {},
      training: { steps: 2 },
      aggregation: {},
      cohort: { minimum: 3, maximum: 3 },
      rounds: 9,
    });
    const nextOffer = sealEnvelope(
      domains.roundOffer,
      RoundOfferSchema,
      {
        federationId: toFederationId(identity.publicKey),
        runId,
        round: 5,
        kind: OfferKind.TRAIN,
        runSpec: runSpecBytes(spec),
        baseModelSha256: sha256('model'),
        baseModelFiles: [{ name: 'config.json', sha256: sha256('file'), sizeBytes: 5n }],
        layoutSha256: sha256('layout'),
        adapter: { name: 'adapter_model.safetensors', sha256: sha256('adapter'), sizeBytes: 5n },
        factor: Factor.B,
        batchSeed: 7n,
        clipNormL2: spec.aggregation.clipNormL2,
      },
      identity,
    );
    const promised = Promise.withResolvers<void>();
    const declines = Promise.withResolvers<string>();
    const again = Promise.withResolvers<void>();
    const afterwards = Promise.withResolvers<string>();
    const { event } = await play(async (session) => {
      await promised.promise;
      session.say({ case: 'roundOffer', value: nextOffer });
      declines.resolve((await hears(session, 'decline')).code);
      await again.promise;
      session.say({ case: 'roundOffer', value: nextOffer });
      afterwards.resolve((await hears(session, 'decline')).code);
    });
    const told = await event('log-distrusted');
    expect(told).toMatchObject({ check: 'promiseKept', scope: runId, round: 4 });
    promised.resolve();
    expect(await declines.promise).toBe('WEFT_LOG_DISTRUSTED');
    const kept = await evidenceIn(told.evidence);
    expect(kept['statements']).toEqual(owed().statements);
    expect((await readStatus(join(home, 'node'))).log.distrusted).toMatchObject([{ scope: runId }]);
    await dismissDistrust(join(home, 'node'), runId);
    again.resolve();
    // The next thing that is in its way is another one: a cohort of three.
    expect(await afterwards.promise).not.toBe('WEFT_LOG_DISTRUSTED');
  });

  test.each([
    ['another cut than it signed', [cut(hash(66)), result], 'cutAcknowledged'],
    ['a result that no cut stands before', [result], 'cutLogged'],
    ['a cut that the checkpoint does not hold', [cut()], 'leafIncluded'],
  ] as const)('is shown %s, and keeps what was signed', async (_, leaves, check) => {
    await writeOwed(join(home, 'node'), owed());
    const { event } = await play(async (session) => {
      const entries = [...others, ...leaves];
      const { proof } = history(entries);
      const shown = proof(0, { leaves });
      const [first] = shown.leaves;
      if (check === 'leafIncluded') first!.path.place = 0n;
      session.say({ case: 'logProof', value: shown });
    });
    const told = await event('log-distrusted');
    expect(told).toMatchObject({ check, scope: runId });
    const kept = await evidenceIn(told.evidence);
    expect(kept['statements']).toHaveLength(1);
    expect(kept['checkpoints']).toHaveLength(1);
    expect(kept['shown']).toBeDefined();
  });
});

describe('a node that was shown a log', () => {
  const honest = history(others);
  const longer = history([...others, hash(4)]);
  const forked = history([...others.slice(0, 2), hash(33), hash(4)]);
  const sameSize = history([...others.slice(0, 2), hash(33)]);

  test('stops for the whole federation where another history follows, and keeps both checkpoints', async () => {
    const { event } = await play(async (session) => {
      session.say({ case: 'logProof', value: honest.proof(0) });
      session.say({ case: 'logProof', value: forked.proof(3) });
    });
    const told = await event('log-distrusted');
    expect(told).toMatchObject({ check: 'logOnlyGrew', scope: 'federation' });
    expect((await evidenceIn(told.evidence))['checkpoints']).toHaveLength(2);
  });

  test('says how far it saw where a proof starts elsewhere, and holds nothing against it', async () => {
    const asked = Promise.withResolvers<LogSeen>();
    await play(async (session) => {
      session.say({ case: 'logProof', value: honest.proof(0) });
      session.say({ case: 'logProof', value: longer.proof(2) });
      asked.resolve(await hears(session, 'logSeen'));
    });
    expect(await asked.promise).toMatchObject({ logSize: 3n, astray: true });
    await expect(readdir(join(home, 'node', 'evidence'))).rejects.toThrow('ENOENT');
  });

  test('as a witness cosigns each checkpoint once, and after a restart no other of the same size', async () => {
    const policy = { witness: 'yes' } as const;
    const signed = Promise.withResolvers<LogSeen>();
    const first = await play(
      async (session, seen) => {
        expect(seen.witness).toBeDefined();
        session.say({ case: 'logProof', value: honest.proof(0) });
        signed.resolve(await hears(session, 'logSeen'));
      },
      { policy },
    );
    const { logSize, cosignature, witness } = await signed.promise;
    const witnessKey = log.parseVerifierKey(witness!.verifierKey);
    const note = log.withSignature({ text: honest.text, signatures: [] }, witnessKey, cosignature);
    expect(log.checkNote(note, witnessKey)).toBe('good');
    expect(logSize).toBe(3n);
    expect((await readSent(join(home, 'node'))).at(-1)).toMatchObject({ kind: 'cosignature', logSize: 3 });
    await first.agent.stop();

    const later: LogSeen[] = [];
    const second = await play(
      async (session, seen) => {
        later.push(seen);
        session.say({ case: 'logProof', value: sameSize.proof(3) });
        session.say({ case: 'logProof', value: longer.proof(3) });
        for (;;) later.push(await hears(session, 'logSeen'));
      },
      { policy },
    );
    expect(await second.event('log-distrusted')).toMatchObject({ check: 'logOnlyGrew' });
    await second.agent.stop();
    expect(later[0]).toMatchObject({ logSize: 3n, witness });
    // Nor does it sign for this coordinator again before the operator has looked.
    expect(later.filter((said) => said.cosignature.length > 0)).toEqual([]);
    expect((await readSent(join(home, 'node'))).filter(({ kind }) => kind === 'cosignature')).toHaveLength(1);
  });
});

test('what a coordinator must say in time counts only while it can say it, whatever the clock on the wall shows', async () => {
  let now = 0;
  const timers = createConnectedTimers(() => now);
  const due = Promise.withResolvers<number>();
  timers.start('a', 5, () => due.resolve(now));
  now += 86_400_000;
  timers.connected();
  now += 3;
  timers.disconnected();
  now += 86_400_000;
  timers.connected();
  now += 2;
  expect(await due.promise).toBe(now);
  timers.start('b', 1, () => expect.unreachable());
  timers.cancel('b');
  timers.disconnected();
});
