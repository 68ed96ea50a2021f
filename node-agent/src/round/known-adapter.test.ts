import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Factor, LogProofSchema, OfferKind, RoundOfferSchema, type NodeMessage } from '@weft/proto';
import {
  createAdapterLayout,
  createIdentity,
  domains,
  isWeftError,
  log,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  sha256,
  toFederationId,
  toNodeId,
  type RunId,
  type Sha256,
} from '@weft/shared';
import { initAdapter, saveAdapter } from '@weft/trainer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startScriptedCoordinator } from '../../test/scripted-coordinator.ts';
import { signedHistory } from '../../test/signed-history.ts';
import { smallModelConfig, writeSmallModel } from '../../test/small-model.ts';
import { startNode } from '../agent.ts';
import { joinFederation } from '../enrol.ts';
import type { NodeEvent } from '../events.ts';
import { createLogWatch, type LogWatch } from '../log/log-watch.ts';
import { readLoggedAdapters } from '../log/logged-adapters.ts';
import { requireKnownAdapter } from './known-adapter.ts';

const coordinator = createIdentity().identity;
const runId = `r_${'ab'.repeat(16)}` as RunId;
const spec = (more: object = {}) =>
  parseRunSpec({
    name: 'a run',
    baseModel: { name: 'm', sha256: sha256('model') },
    adapter: {},
    training: { steps: 8 },
    aggregation: { mode: 'plain', clipNormL2: 2 },
    cohort: { minimum: 3, maximum: 3 },
    rounds: 9,
    ...more,
  });
const layout = createAdapterLayout(smallModelConfig, spec().adapter);
const first = initAdapter(layout, spec().seed);
const changed = (by: number): Float32Array => first.map((value) => value + by);

/** By what it is called in a test; the file's bytes are of no matter here. */
const named = (name: string): Sha256 => sha256(name);
const ofRun = { at: 5n, runId: Buffer.from(runId.slice(2), 'hex'), previousAdapter: Buffer.alloc(32) };
const result = (round: number, adapter: string, clipNorm?: number): Uint8Array =>
  log.encodeLeaf('result', {
    ...ofRun,
    round,
    adapterHash: Buffer.from(named(adapter), 'hex'),
    updates: 3,
    updateRoot: Buffer.alloc(32),
    weightSum: 3n,
    gate: 0,
    nextClipNorm: clipNorm === undefined ? 0n : log.floatBits(clipNorm),
  });
const rollback = (adapter: string): Uint8Array =>
  log.encodeLeaf('rollback', {
    ...ofRun,
    round: 2,
    adapterHash: Buffer.from(named(adapter), 'hex'),
    nextClipNorm: 0n,
  });

let home: string;
let watch: LogWatch;
let said: NodeMessage['kind'][];
let asked: PromiseWithResolvers<void>;
let events: NodeEvent[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-adapter-'));
  events = [];
  await open();
});
afterEach(async () => {
  await watch.stop();
  await rm(home, { recursive: true });
});

/** What a process of this node knows when it starts. */
async function open(withinMs = 60_000): Promise<void> {
  said = [];
  asked = Promise.withResolvers();
  watch = createLogWatch({
    home,
    identity: createIdentity().identity,
    connection: {
      say(kind) {
        if (kind.case !== 'logSeen') return false;
        said.push(kind as NodeMessage['kind']);
        if (kind.value.adapters?.length) asked.resolve();
        return true;
      },
    },
    federation: () => ({
      version: 1,
      address: 'localhost:1',
      federationId: toFederationId(coordinator.publicKey),
      federationName: 'test',
      coordinatorKey: coordinator.publicKey,
      certificates: [],
      nodeId: toNodeId(new Uint8Array(32)),
      nodeName: 'one',
      organisation: '',
    }),
    emit: (event) => events.push(event),
    owed: [],
    adapters: await readLoggedAdapters(home),
    witness: undefined,
    endWithinMs: withinMs,
  });
  watch.connected();
}

const outcome = (work: Promise<void>): Promise<string> =>
  work.then(
    () => 'taken',
    (error: unknown) => (isWeftError(error) ? error.code : String(error)),
  );
const offer = (
  adapter: string,
  { values = changed(1), clipNormL2 = 2, more = {}, signal = new AbortController().signal } = {},
): Promise<string> => {
  const offered = {
    runId,
    spec: spec(more),
    adapter: { name: 'a', sha256: named(adapter), sizeBytes: 1 },
    clipNormL2,
  };
  return outcome(requireKnownAdapter(offered, { layout, adapter: values }, watch.adapters, signal));
};
/** The newest of these leaves, or the one that is named, in a log of them; from what the node has seen before. */
const show = async (leaves: readonly Uint8Array[], seen: number, leaf = leaves.at(-1)!): Promise<void> => {
  const { head, placed } = signedHistory(leaves, coordinator);
  const proof: MessageInitShape<typeof LogProofSchema> = { ...head(seen), runId, round: 1, adapter: placed(leaf) };
  await watch.take(create(LogProofSchema, proof));
};

test('the first adapter is the one that the seed gives, to the bit; another one is waited for and refused', async () => {
  expect(await offer('first', { values: first })).toBe('taken');
  await open(20);
  const almost = first.with(3, first[3]! + 2 ** -24);
  expect(almost).not.toEqual(first);
  expect(await offer('crafted', { values: almost })).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
  // Where the norm adapts, an adapter that nothing was committed to yet comes with the norm of the spec.
  expect(await offer('first', { values: first, clipNormL2: 1.9 })).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
});

test('a later one is that of the result that this node was shown, and of none before it', async () => {
  const leaves = [result(0, 'one'), result(1, 'two')];
  await show(leaves.slice(0, 1), 0);
  await show(leaves, 1);
  await watch.stop();
  // Another process of this node has not forgotten it.
  await open(20);
  expect(await offer('two')).toBe('taken');
  expect(said.flatMap(({ value }) => (value as { adapters?: string[] }).adapters ?? [])).toEqual([]);
  for (const other of ['one', 'crafted']) expect(await offer(other)).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
  expect(await offer('first', { values: first })).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
  // Shown again: it says nothing newer.
  await show(leaves, 2, leaves[0]);
  expect(await offer('one')).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
  await show([...leaves, rollback('one')], 2);
  expect(await offer('one')).toBe('taken');
  expect(await offer('two')).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
});

test('a node that has not seen it asks, and goes on when it is shown', async () => {
  const taken = offer('two');
  await asked.promise;
  expect(said.at(-1)!.value).toMatchObject({ adapters: [runId] });
  const leaves = [result(0, 'one'), result(1, 'two')];
  await show(leaves, 0);
  expect(await taken).toBe('taken');
  const leaving = new AbortController();
  asked = Promise.withResolvers();
  const left = offer('three', { signal: leaving.signal });
  await asked.promise;
  leaving.abort();
  expect(await left).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
});

test('what is shown and is not in the log, or of another run, stops this node', async () => {
  const logged = result(0, 'one');
  const { head, placed } = signedHistory([logged], coordinator);
  const forged = { ...placed(logged), leaf: result(0, 'crafted') };
  await watch.take(create(LogProofSchema, { ...head(0), runId, round: 1, adapter: forged }));
  expect(events.at(-1)).toMatchObject({ event: 'log-distrusted', check: 'leafIncluded', scope: runId });
  const enrol = log.encodeLeaf('enrol', { at: 1n, node: Buffer.alloc(32), organisation: Buffer.alloc(32) });
  await show([enrol], 0);
  expect(events.at(-1)).toMatchObject({ event: 'log-distrusted', check: 'leafOfAdapter', scope: runId });
  await open(20);
  expect(await offer('crafted')).toBe('WEFT_NODE_ADAPTER_UNPROVEN');
});

test('where the run adapts it, the clip norm is the one that stands beside the adapter, to the bit', async () => {
  const more = {
    cohort: { minimum: 11, maximum: 11 },
    aggregation: { weighting: 'uniform', clipNormL2: 2 },
    evaluation: { heldOutShare: 0 },
    privacy: { noiseMultiplier: 1, adaptiveClipping: true },
  };
  const norm = 2 * Math.exp(-0.04);
  await show([result(0, 'one', norm)], 0);
  await open();
  expect(await offer('one', { more, clipNormL2: norm })).toBe('taken');
  expect(await offer('one', { more, clipNormL2: norm * (1 + 2 ** -52) })).toBe('WEFT_NODE_OFFER_INVALID');
  expect(await offer('one', { more })).toBe('WEFT_NODE_OFFER_INVALID');
});

test('an agent that is offered another adapter declines by that name, and has sent nothing', async () => {
  const model = await writeSmallModel(join(home, 'model'), 1);
  const craftedFolder = join(home, 'crafted');
  await mkdir(craftedFolder);
  const base = { name: 'm', sha256: model.sha256 };
  await saveAdapter(craftedFolder, base, { layout, adapter: changed(1) });
  const crafted = new Uint8Array(await readFile(join(craftedFolder, 'adapter_model.safetensors')));
  const declined = Promise.withResolvers<unknown>();
  const heard: (string | undefined)[] = [];
  const played = await startScriptedCoordinator({
    identity: coordinator,
    blobs: new Map([[sha256(crafted), crafted]]),
    async session(session) {
      await session.shakeHands();
      const body = {
        federationId: toFederationId(coordinator.publicKey),
        runId,
        round: 1,
        kind: OfferKind.TRAIN,
        runSpec: runSpecBytes(spec({ baseModel: base })),
        baseModelSha256: model.sha256,
        layoutSha256: layout.sha256,
        adapter: { name: 'adapter_model.safetensors', sha256: sha256(crafted), sizeBytes: BigInt(crafted.length) },
        factor: Factor.B,
        clipNormL2: 2,
      };
      session.say({ case: 'roundOffer', value: sealEnvelope(domains.roundOffer, RoundOfferSchema, body, coordinator) });
      for (let message = await session.hear(); message !== undefined; message = await session.hear()) {
        heard.push(message.kind.case);
        if (message.kind.case === 'decline') declined.resolve(message.kind.value);
      }
    },
  });
  const data = join(home, 'data.txt');
  await writeFile(data, 'a line of text\n'.repeat(20));
  const nodeHome = join(home, 'node');
  await joinFederation({ home: nodeHome, invite: played.invite(), nodeName: 'one' });
  const agent = await startNode({
    home: nodeHome,
    dataPaths: [data],
    modelPath: model.path,
    policy: { secureAggregation: 'optional' },
    endShownWithinMs: 20,
  });
  try {
    expect(await declined.promise).toMatchObject({ runId, round: 1, code: 'WEFT_NODE_ADAPTER_UNPROVEN' });
    expect(heard).not.toContain('ready');
    expect(heard).not.toContain('evaluation');
  } finally {
    await agent.stop();
    played.close();
  }
});
