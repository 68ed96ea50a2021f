import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Factor, OfferKind, RoundOfferSchema, type NodeMessage } from '@weft/proto';
import {
  createAdapterLayout,
  createIdentity,
  domains,
  parseRunSpec,
  runSpecBytes,
  sealEnvelope,
  sha256,
  toFederationId,
  type RunSpecInput,
} from '@weft/shared';
import { initAdapter, saveAdapter } from '@weft/trainer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startScriptedCoordinator, type ScriptedSession } from '../../test/scripted-coordinator.ts';
import { smallModelConfig, writeSmallModel } from '../../test/small-model.ts';
import { startNode } from '../agent.ts';
import { joinFederation } from '../enrol.ts';
import { createBaseModels } from '../model/base-models.ts';
import { createPrivacyLedger, ledgerIn } from '../ledger/privacy-ledger.ts';
import { checkPolicy } from '../policy/parse-policy.ts';
import { metricNames } from '../policy/metrics.ts';
import { defaultPolicy, type PolicyInput } from '../policy/policy.ts';
import { createAnsweredRounds } from './answered-rounds.ts';
import { workOnOffer, type JobContext } from './job.ts';
import { createLocalData } from './local-data.ts';

const coordinator = createIdentity().identity;
const runId = `r_${'ab'.repeat(16)}`;
let folder: string;
let model: Awaited<ReturnType<typeof writeSmallModel>>;
let adapter: Uint8Array;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-job-'));
  model = await writeSmallModel(join(folder, 'model'), 1);
  await mkdir(join(folder, 'adapter'));
  const layout = createAdapterLayout(smallModelConfig, specOf().adapter);
  const base = { name: 'm', sha256: model.sha256 };
  await saveAdapter(join(folder, 'adapter'), base, { layout, adapter: initAdapter(layout, specOf().seed) });
  adapter = new Uint8Array(await readFile(join(folder, 'adapter', 'adapter_model.safetensors')));
});
afterAll(() => rm(folder, { recursive: true }));

const specOf = (changes: Partial<RunSpecInput> = {}) =>
  parseRunSpec({
    name: 'a run',
    baseModel: { name: 'm', sha256: model.sha256 },
    adapter: {},
    training: { steps: 2, batchSize: 8, sequenceLength: 16 },
    aggregation: { weighting: 'uniform' },
    cohort: { minimum: 5, maximum: 5 },
    rounds: 9,
    ...changes,
  });
const layoutOf = (spec = specOf()) => createAdapterLayout(smallModelConfig, spec.adapter);

interface Asked {
  readonly round: number;
  readonly kind: OfferKind;
  readonly spec?: ReturnType<typeof specOf>;
}
const offerOf = ({ round, kind, spec = specOf() }: Asked) => ({
  federationId: toFederationId(coordinator.publicKey),
  runId,
  round,
  kind,
  runSpec: runSpecBytes(spec),
  baseModelSha256: model.sha256,
  layoutSha256: layoutOf(spec).sha256,
  adapter: { name: 'adapter_model.safetensors', sha256: sha256(adapter), sizeBytes: BigInt(adapter.length) },
  factor: Factor.B,
  batchSeed: BigInt(spec.seed),
  clipNormL2: spec.aggregation.clipNormL2,
});

/** An agent with so many records, and what it answers to one offer after the other: all until it is ready or declines. */
async function answersOf(policy: PolicyInput, records: number, offers: readonly Asked[]) {
  const home = await mkdtemp(join(folder, 'home-'));
  const dataPath = join(home, 'data.txt');
  await writeFile(dataPath, Array.from({ length: records }, (_, i) => `record ${i} of them`).join('\n'));
  const answers: NodeMessage['kind'][][] = [];
  const done = Promise.withResolvers<void>();
  const play = async (session: ScriptedSession): Promise<void> => {
    await session.shakeHands();
    for (const asked of offers) {
      const value = sealEnvelope(domains.roundOffer, RoundOfferSchema, offerOf(asked), coordinator);
      session.say({ case: 'roundOffer', value });
      const said: NodeMessage['kind'][] = [];
      const ends = asked.kind === OfferKind.TRAIN ? ['ready', 'decline'] : ['evaluation', 'decline'];
      do said.push((await session.hear())!.kind);
      while (!ends.includes(said.at(-1)!.case!));
      answers.push(said.filter(({ case: name }) => name !== 'progress' && name !== 'logSeen' && name !== 'heartbeat'));
    }
    done.resolve();
    while ((await session.hear()) !== undefined);
  };
  const played = await startScriptedCoordinator({
    identity: coordinator,
    session: (session) => play(session).catch((error: unknown) => done.reject(error)),
    blobs: new Map([[sha256(adapter), adapter]]),
  });
  await joinFederation({ home, invite: played.invite(), nodeName: 'one' });
  const agent = await startNode({ home, dataPaths: [dataPath], modelPath: model.path, threads: 1, policy });
  try {
    await done.promise;
    return answers;
  } finally {
    await agent.stop();
    played.close();
  }
}
const rulesIn = (answers: NodeMessage['kind'][]): string[] =>
  answers.flatMap(({ case: name, value }) =>
    name === 'decline' ? [/\((.*)\)$/.exec(value.message)?.[1] ?? value.code] : [name!],
  );
const train = { round: 1, kind: OfferKind.TRAIN } as const;
const evaluate = { round: 2, kind: OfferKind.EVALUATE } as const;

test('no loss leaves by default, nor one of few records, and neither keeps a node from training', async () => {
  expect(defaultPolicy.metrics).not.toContain('held-out-loss');
  const byDefault = await answersOf({}, 200, [train, evaluate]);
  expect(byDefault.map(rulesIn)).toEqual([['ready'], ['metrics']]);
  // a tenth of them is held back
  const ofFew = await answersOf({ metrics: metricNames }, 30, [train, evaluate]);
  expect(ofFew.map(rulesIn)).toEqual([['ready'], ['leastHeldOut']]);
});

test('where it may leave, the loss of an adapter is the same two numbers however the coordinator asks again', async () => {
  const spec = specOf({ training: { steps: 2, batchSize: 8, sequenceLength: 8 } });
  const less = specOf({ evaluation: { heldOutShare: 0.05 } });
  const answers = await answersOf({ metrics: metricNames, heldOutShare: 0.3 }, 200, [
    train,
    evaluate,
    { ...evaluate, round: 3, spec },
    { ...train, round: 4, spec: less },
  ]);
  expect(answers.map(rulesIn)).toEqual([
    ['evaluation', 'ready'],
    ['evaluation'],
    ['evaluation'],
    ['evaluation', 'ready'],
  ]);
  const [first, ...others] = answers.map(([said]) => said!.value as { lossSum: number; tokens: bigint });
  expect(first!.lossSum).toBeGreaterThan(0);
  for (const { lossSum, tokens } of others) expect([lossSum, tokens]).toEqual([first!.lossSum, first!.tokens]);
});

test('a ledger with a budget admits no score of a run without noise, whatever the policy says', async () => {
  const home = await mkdtemp(join(folder, 'home-'));
  const policy = checkPolicy({ metrics: metricNames }, 'the policy');
  const context = {
    home,
    policy,
    connection: { say: () => true },
    models: createBaseModels({ cacheFolder: home, localPath: model.path }),
    ledger: createPrivacyLedger({ place: ledgerIn(home), dataSet: 'data', budget: { epsilon: 3, delta: 1e-5 } }),
    answered: createAnsweredRounds(home, policy),
    data: createLocalData([]),
  } as unknown as JobContext;
  const offer = {
    ...offerOf(evaluate),
    runId,
    spec: specOf(),
    baseModelFiles: model.files,
    kind: 'evaluate',
    factor: 'B',
  };
  const steps = { onEvaluated: () => Promise.resolve(), signal: new AbortController().signal };
  await expect(workOnOffer(offer as never, context, steps)).rejects.toMatchObject({
    code: 'WEFT_PRIVACY_NOISE_REQUIRED',
  });
});
