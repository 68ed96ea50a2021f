import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { UpdateSchema } from '@weft/proto';
import {
  createIdentity,
  domains,
  parseRunSpec,
  sealEnvelope,
  sha256,
  type RunId,
  type RunSpecInput,
} from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPendingUpdates, longestKeptMs, openPendingUpdates, type PendingUpdates } from './pending-updates.ts';

const runId = `r_${'ab'.repeat(16)}` as RunId;
const { identity } = createIdentity();
const payload = Buffer.from('an update in the clear');

let folder: string;
let opened: PendingUpdates[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-pending-'));
  opened = [];
});
afterEach(async () => {
  for (const pending of opened) pending.close();
  await rm(folder, { recursive: true });
});

const specOf = ({ seconds, mode = 'secure' }: { seconds: number; mode?: 'secure' | 'plain' }) =>
  parseRunSpec({
    name: 'a run',
    baseModel: { name: 'm', sha256: sha256('model') },
    training: { steps: 1 },
    rounds: 1,
    cohort: { minimum: 5, maximum: 5, deadlineSeconds: seconds },
    aggregation: { mode, secure: { stepSeconds: seconds } },
  } satisfies RunSpecInput);

const save = (pending: PendingUpdates, round: number, spec: ReturnType<typeof specOf>) =>
  pending.save(
    {
      update: sealEnvelope(
        domains.update,
        UpdateSchema,
        create(UpdateSchema, { runId, round, payloadSha256: sha256(payload) }),
        identity,
      ),
      runName: 'a run',
      spec,
      clipNormL2: 1,
      normL2: 1,
      trainingMs: 1,
    },
    payload,
  );

/** An agent opens what lies here. @returns the rounds that it was told of so far, and the first one that it is told of */
async function openAgent() {
  const pending = await openPendingUpdates(folder);
  opened.push(pending);
  const told: number[] = [];
  const first = Promise.withResolvers<number>();
  pending.onOverdue(({ body }) => {
    told.push(body.round);
    first.resolve(body.round);
  });
  return { pending, told, first: first.promise };
}
const age = async (name: string, ms: number): Promise<void> => {
  const at = new Date(Date.now() - ms);
  await utimes(join(folder, name), at, at);
};

test('an update is kept for as long as its run may take for a round', () => {
  expect(longestKeptMs(specOf({ seconds: 10 }))).toBe(60_000);
  expect(longestKeptMs(specOf({ seconds: 10, mode: 'plain' }))).toBe(20_000);
});

test('one that nobody asked for in time is told of; one that was removed before is not', async () => {
  const { pending, told, first } = await openAgent();
  await save(pending, 1, specOf({ seconds: 0.001 }));
  await pending.remove(runId, 1);
  await save(pending, 2, specOf({ seconds: 0.002 }));
  expect(await first).toBe(2);
  expect(told).toEqual([2]);
});

test.each([
  { what: 'an update whose time was over while no agent ran', file: '2.json', pastMs: 60_000 },
  { what: 'a session whose steps were over by then, its update being younger', file: '2.journal', pastMs: 50_000 },
])('an agent that comes back is told at once of $what', async ({ file, pastMs }) => {
  const before = createPendingUpdates(folder);
  for (const round of [1, 2, 3]) await save(before, round, specOf({ seconds: 10 }));
  await writeFile(join(folder, `${runId}.2.journal`), '');
  // Set back meanwhile: the whole time begins anew, and no more than that.
  await age(`${runId}.1.json`, -3_600_000);
  await age(`${runId}.${file}`, pastMs);
  const { told, first } = await openAgent();
  expect(await first).toBe(2);
  expect(told).toEqual([2]);
});

test('an agent that comes back deletes what no whole update belongs to', async () => {
  const before = createPendingUpdates(folder);
  for (const round of [1, 2, 3]) await save(before, round, specOf({ seconds: 10 }));
  await writeFile(join(folder, `${runId}.1.journal`), 'of a session');
  await writeFile(join(folder, `${runId}.2.payload`), 'damaged');
  await rm(join(folder, `${runId}.3.json`));
  await writeFile(join(folder, `${runId}.4.journal`), 'of an update that is gone');
  await writeFile(join(folder, `.${runId}.1.payload.17.abcdef.tmp`), payload);
  await openAgent();
  expect((await readdir(folder)).toSorted()).toEqual(
    ['1.journal', '1.json', '1.payload'].map((name) => `${runId}.${name}`),
  );
});
