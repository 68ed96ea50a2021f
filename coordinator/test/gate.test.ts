import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRunning, initCoordinator, startCoordinator, type RunningCoordinator } from '@weft/coordinator';
import { RoundOfferSchema, UpdateSchema } from '@weft/proto';
import {
  createAdapterLayout,
  domains,
  factorSize,
  log,
  longestUpdate,
  openEnvelope,
  parseInvite,
  parseRunSpec,
  payloadOf,
  sealEnvelope,
  sha256,
  toFederationId,
  updateEncoding,
  type ExportView,
  type GateDataView,
  type InviteView,
  type RunDetailView,
  type RunView,
} from '@weft/shared';
import { openModel } from '@weft/trainer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestNode } from './test-node.ts';

const modelPath = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const text =
  'The library opened at nine. A child asked for a book about the sea.\nTwo rivers meet below the old town.\n';

let home: string;
let coordinator: RunningCoordinator;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-gate-'));
  await initCoordinator(home);
  coordinator = await startCoordinator({
    home,
    grpcPort: 0,
    httpPort: 0,
    logLevel: 'silent',
    timing: { settleMs: 50, retryMs: 50 },
  });
});
afterEach(async () => {
  await coordinator.close();
  await rm(home, { recursive: true });
});

const call = async <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => {
  const { httpUrl, adminToken } = await findRunning(home);
  const isText = typeof body === 'string';
  const answer = await fetch(new URL(path, httpUrl), {
    method,
    headers: {
      authorization: `Bearer ${adminToken}`,
      ...(body !== undefined && { 'content-type': isText ? 'application/octet-stream' : 'application/json' }),
    },
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
  });
  const view = (await answer.json()) as T;
  if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(view)}`);
  return view;
};

/** A node that keeps to the protocol, and whose coordinates are all as large as given, of what its norm allows at most. */
async function joinWith(magnitudeOf: (largest: number) => number) {
  const { invite } = await call<InviteView>('POST', '/api/invites', { autoApprove: true });
  const { address, certificateDer, coordinatorKey, token } = parseInvite(invite);
  const node = createTestNode({
    address,
    federationId: toFederationId(coordinatorKey),
    identity: { publicKey: coordinatorKey },
    certificate: { der: certificateDer },
  });
  await node.enrol(token);
  const session = await node.openSession();
  const { config } = await openModel(modelPath);
  return {
    nodeId: node.nodeId,
    close: () => node.close(),
    async takePart(): Promise<void> {
      const envelope = await session.next('roundOffer');
      const offer = openEnvelope(domains.roundOffer, RoundOfferSchema, envelope, coordinatorKey);
      const { runId, round, baseModelSha256, layoutSha256, factor } = offer;
      const spec = parseRunSpec(JSON.parse(Buffer.from(offer.runSpec).toString()));
      const trained = (['both', 'A', 'B', 'both'] as const)[factor]!;
      const values = factorSize(createAdapterLayout(config, spec.adapter), trained);
      const encoding = updateEncoding(spec, values);
      const magnitude = magnitudeOf(Math.floor(longestUpdate(encoding, 1) / Math.sqrt(encoding.grid.dim)));
      const coordinates = Int32Array.from({ length: encoding.grid.dim }, (_, i) => (i % 3 === 0 ? -1 : 1) * magnitude);
      const quantized = { coordinates, normL2: 0, clipped: false, saturatedValues: 0 };
      const payload = payloadOf(encoding, quantized, { weight: 1 });
      const payloadSha256 = sha256(payload);
      const payloadBytes = BigInt(payload.length);
      session.say({ case: 'ready', value: { runId, round, payloadSha256, payloadBytes, trainingMs: 1n } });
      await session.next('cohort');
      const body = {
        runId,
        round,
        nodeId: node.nodeId,
        baseModelSha256,
        layoutSha256,
        factor,
        payloadSha256,
        payloadBytes,
        previousAdapterSha256: offer.adapter!.sha256,
        ringBits: encoding.form.bits,
        values: BigInt(values),
        weight: 1n,
      };
      await node.upload(session.ticket, sealEnvelope(domains.update, UpdateSchema, body, node.identity), payload);
    },
  };
}

const runUntil = async (id: string, matches: (run: RunDetailView) => boolean): Promise<RunDetailView> => {
  for (;;) {
    const run = await call<RunDetailView>('GET', `/api/runs/${id}`);
    if (matches(run)) return run;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const findings = async (adapterSha256: string): Promise<log.Finding[]> => {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    const answer = await fetch(new URL(`/log/${path}`, coordinator.httpUrl));
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : undefined;
  };
  const found: log.Finding[] = [];
  for await (const finding of log.verifyLog({ read, adapterSha256 })) found.push(finding);
  return found;
};

test('a poisoned sum is stopped by the gate, the next round without it is committed, and a roll-back exports the older adapter', async () => {
  const { sha256: modelSha256 } = await call<{ sha256: string }>('POST', '/api/models', { path: modelPath });
  const { sha256: dataSha256 } = await call<GateDataView>('POST', '/api/gate-data', text);
  const { id, adapterSha256: first } = await call<RunView>('POST', '/api/runs', {
    name: 'gated',
    baseModel: { name: 'weft-tiny-llama', sha256: modelSha256 },
    adapter: { rank: 2, alpha: 4 },
    training: { steps: 1, sequenceLength: 32 },
    cohort: { minimum: 2, maximum: 3 },
    aggregation: { mode: 'plain', weighting: 'uniform', clipNormL2: 100 },
    evaluation: { heldOutShare: 0, gate: { dataSha256, format: 'txt', greatestIncrease: 0.02 } },
    rounds: 2,
  });
  const honest = [await joinWith(() => 1), await joinWith(() => 2)];
  const poisoner = await joinWith((largest) => largest);
  await call('POST', `/api/runs/${id}/start`);
  await Promise.all([...honest, poisoner].map((node) => node.takePart()));
  const refused = await runUntil(id, ({ roundsDone }) => typeof roundsDone[0]?.endedAt === 'number');
  const { gate, reason, adapterAfter } = refused.roundsDone[0]!;
  expect(gate).toMatchObject({ passed: false });
  expect(gate!.lossAfter ?? Infinity).toBeGreaterThan(1.02 * gate!.lossBefore!);
  expect(reason).toContain(`from ${gate!.lossBefore!.toFixed(4)} to`);
  expect(adapterAfter).toBeNull();
  expect(refused.adapterSha256).toBe(first);

  await call('POST', `/api/nodes/${poisoner.nodeId}/revoke`);
  poisoner.close();
  for (let round = 0; round < 2; round++) {
    await Promise.all(honest.map((node) => node.takePart()));
    await runUntil(id, ({ roundsCommitted }) => roundsCommitted === round + 1);
  }
  const finished = await runUntil(id, ({ state }) => state === 'finished');
  const committed = finished.roundsDone.filter((round) => round.adapterAfter !== null);
  expect(committed).toHaveLength(2);
  for (const round of committed)
    expect(round).toMatchObject({ contributors: 2, gate: { passed: true, tokens: gate!.tokens } });
  expect(finished.versions.map(({ gateLoss }) => gateLoss)).toEqual([
    gate!.lossBefore,
    ...committed.map((round) => round.gate!.lossAfter),
  ]);

  const newest = finished.adapterSha256!;
  const to = committed[0]!.adapterAfter!;
  const back = await call<RunView>('POST', `/api/runs/${id}/rollback`, { to, reason: 'a try' });
  expect(back).toMatchObject({ state: 'finished', adapterSha256: to, roundsCommitted: 1 });
  const exported = await call<ExportView>('GET', `/api/runs/${id}/adapter`);
  const file = exported.files.find(({ name }) => name === 'adapter_model.safetensors')!;
  expect([exported.adapterSha256, sha256(Buffer.from(file.base64, 'base64'))]).toEqual([to, to]);

  const withdrawn = `adapter ${newest} was withdrawn: its run was rolled back behind it`;
  // The files of the log follow its rows a moment later.
  let found = await findings(newest);
  while (!found.some(({ claim }) => claim === withdrawn)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    found = await findings(newest);
  }
  expect(found.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
  const claims = found.map(({ claim }) => claim);
  expect(claims).toContainEqual(
    expect.stringMatching(/^round 1 was given up \(WEFT_GATE_REFUSED\).*the gate’s loss went/),
  );
  expect(claims).toContainEqual(expect.stringContaining(`end in adapter ${to}`));
  for (const node of honest) node.close();
}, 240_000);
