import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { log, parseRunSpec, runSpecBytes, sha256, type NodeId, type RunId, type Sha256 } from '@weft/shared';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openPublishedRounds, type PublishedRounds } from '../log/published-rounds.ts';
import type { NewEvent } from '../store/events.ts';
import { openStore, type Store } from '../store/store.ts';
import { createManualClock, type ManualClock } from './clock.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import { openRunBlobs } from './run-blobs.ts';

const runId = `r_${'0a'.repeat(16)}` as RunId;
const spec = parseRunSpec({
  name: 'run',
  baseModel: { name: 'm', sha256: sha256('model') },
  training: { steps: 1 },
  rounds: 1,
  aggregation: { weighting: 'uniform', secure: { publishInputs: true } },
  cohort: { minimum: 5, maximum: 5 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 1 },
});

let home: string;
let store: Store;
let clock: ManualClock;
let published: PublishedRounds;
let publisher: Publisher;
let warned: unknown[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-publisher-'));
  clock = createManualClock();
  store = openStore(home, { now: () => clock.now() });
  published = openPublishedRounds(join(home, 'log'));
  const blobs = await openRunBlobs(home);
  warned = [];
  const logger = pino({ level: 'warn' }, { write: (line) => warned.push(JSON.parse(line)) });
  publisher = createPublisher({ store, blobs, clock, logger, onPoint: () => {} }, published);
});
afterEach(async () => {
  publisher.close();
  store.close();
  await rm(home, { recursive: true });
});

const bodies = async (): Promise<Set<string>> => new Set(await readdir(join(home, 'log', 'bodies')));

const committed = (round: number): NewEvent => ({
  kind: 'round.committed',
  runId,
  round,
  data: {
    adapter: { sha256: sha256('adapter'), sizeBytes: 1 },
    nodeIds: [],
    weightSum: 1,
    deltaNormL2: 1,
    seconds: { training: 1, transfer: 1, aggregation: 1 },
    bytesDown: {},
  },
});

/** A round that is kept until then. */
async function keepRound(round: number, until: number): Promise<Sha256[]> {
  const own = await published.putBody(Buffer.from(`advert of round ${round}`));
  const shared = await published.putBody(Buffer.from('the same adapter'));
  const manifest: log.RoundManifest = {
    version: 1,
    runId,
    round,
    until,
    offer: own,
    invited: [],
    messages: [],
    inputs: [],
    previousAdapter: shared,
  };
  await published.putRound(manifest);
  return [own, shared];
}

test('a round goes when its window is over, by the clock alone, and the spec stays', async () => {
  await publisher.publishSpec(spec);
  const kept = sha256(runSpecBytes(spec));
  const [first, shared] = await keepRound(0, clock.now() + 1000);
  const [second] = await keepRound(1, clock.now() + 5000);
  await publisher.recover(runId, spec);
  expect(await bodies()).toEqual(new Set([kept, first, shared, second]));
  clock.advance(1000);
  await vi.waitFor(async () => expect(await published.hasRound(runId, 0)).toBe(false));
  await vi.waitFor(async () => expect(await bodies()).toEqual(new Set([kept, shared, second])));
  expect(await published.hasRound(runId, 1)).toBe(true);
  clock.advance(4000);
  await vi.waitFor(async () => expect(await bodies()).toEqual(new Set([kept])));
});

test('a manifest that does not parse is skipped and said so: it stops neither the sweep nor whoever publishes', async () => {
  const gone = await keepRound(0, clock.now() + 1000);
  const broken = join(home, 'log', 'rounds', runId, '1.json');
  await writeFile(broken, '{"version":1,"messages":[{"kind":"complaint","signature":"00"}]}');
  clock.advance(1000);
  store.append(committed(2));
  await publisher.publishRound(runId, spec, 2);
  expect(await published.hasRound(runId, 0)).toBe(false);
  const left = await bodies();
  expect(gone.filter((body) => left.has(body))).toEqual([]);
  expect(warned).toEqual([expect.objectContaining({ file: broken })]);
});

test('that a member was revoked is published with its key, so that the session plays again', async () => {
  const blobs = await openRunBlobs(home);
  const adapter = await blobs.adapters.put(Buffer.from('adapter'));
  const nodeId = `n_${'0b'.repeat(16)}` as NodeId;
  const publicKey = '0c'.repeat(32);
  const round = { runId, round: 0 };
  const base64 = Buffer.from('offer').toString('base64');
  store.append([
    {
      kind: 'round.started',
      ...round,
      data: { factor: 'B', adapter, batchSeed: 0, quorumDeadlineAt: 0, deadlineAt: 0 },
    },
    { kind: 'secagg.opened', ...round, data: { offer: base64, members: [{ nodeId, publicKey }] } },
    { kind: 'secagg.moved', ...round, data: { kind: 'revoked', revoked: nodeId } },
    { kind: 'secagg.moved', ...round, data: { kind: 'deadline' } },
    committed(0),
  ]);
  await publisher.publishRound(runId, spec, 0);
  const manifest = log.parseManifest(await readFile(join(home, 'log', log.manifestPath(runId, 0))));
  expect(manifest.messages).toEqual([{ kind: 'revoked', publicKey }, { kind: 'deadline' }]);
});

test('what another process left half done is written again, whole', async () => {
  const body = join(home, 'source');
  await writeFile(body, 'a masked vector');
  const hash = sha256('a masked vector');
  await published.putBody(Buffer.from('another'));
  await writeFile(join(home, 'log', 'bodies', `${hash}.part`), 'a mas');
  await published.copyBody(hash, body);
  expect(await bodies()).toEqual(new Set([hash, sha256('another')]));
  expect(await readFile(join(home, 'log', 'bodies', hash), 'utf8')).toBe('a masked vector');
});
