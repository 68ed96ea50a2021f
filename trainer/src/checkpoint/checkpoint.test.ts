import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError, sha256 } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint-folder.ts';
import { identifyRun, type RunIdentity } from './identity.ts';
import { parseManifest } from './manifest.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-checkpoint-'));
});
afterEach(() => rm(folder, { recursive: true }));

const row = { inputIds: Int32Array.of(1, 2), labels: Int32Array.of(-100, 2) };
const identity = (lr = 0.1, ids = row): RunIdentity =>
  identifyRun({ sha256: sha256('model') }, [ids], Float32Array.of(1, 2), { '--lr': lr });

const checkpoint = (step: number): Checkpoint => ({
  state: {
    step,
    tokens: 5 * step,
    examples: 2 * step,
    skippedSteps: 1,
    lossScale: { scale: 2 ** 15, goodSteps: step },
    adapter: Float32Array.of(0.1, -0, 3e-39),
    firstMoment: Float32Array.of(1, 2, 3),
    secondMoment: Float32Array.of(4, 5, 6),
  },
  losses: Float32Array.from({ length: step }, (_, i) => 1 / (i + 3)),
  scores: step > 2 ? [{ step: 2, loss: 0.1, tokens: 7 }] : [],
});

const refusal = (run: RunIdentity): Promise<unknown> =>
  loadCheckpoint(folder, run).then(
    () => 'accepted',
    (error: unknown) => (isWeftError(error) ? `${error.code} ${error.message}` : error),
  );

test('what was saved last comes back bit for bit, and nothing else is left in the folder', async () => {
  await saveCheckpoint(folder, identity(), checkpoint(2));
  await writeFile(join(folder, '.step-9-00000000.safetensors.1.tmp'), 'half'); // as a killed process leaves it
  await saveCheckpoint(folder, identity(), checkpoint(4));
  expect(await loadCheckpoint(folder, identity())).toEqual(checkpoint(4));
  expect(await readdir(folder)).toEqual(['checkpoint.json', expect.stringMatching(/^step-4-/)]);
});

test('a checkpoint of other data or options is refused by what differs', async () => {
  await saveCheckpoint(folder, identity(), checkpoint(1));
  expect(await refusal(identity(0.2))).toBe(
    'WEFT_CHECKPOINT_MISFIT the checkpoint is of another run: --lr is 0.2, the checkpoint has 0.1',
  );
  const counted = { ...row, labels: row.inputIds };
  expect(await refusal(identity(0.1, counted))).toMatch(/^WEFT_CHECKPOINT_MISFIT .*: the data is [0-9a-f]{12}, /);
  const other = identifyRun({ sha256: sha256('other') }, [row], Float32Array.of(1, 3), {});
  expect(await refusal(other)).toMatch(
    /: the model is .*; the first adapter is .*; --lr is not set, the checkpoint has 0.1$/,
  );
});

test('damaged tensors are refused', async () => {
  await saveCheckpoint(folder, identity(), checkpoint(1));
  const [, name = ''] = await readdir(folder);
  const bytes = await readFile(join(folder, name));
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  await writeFile(join(folder, name), bytes);
  expect(await refusal(identity())).toContain('WEFT_CHECKPOINT_CORRUPT');
  await writeFile(join(folder, name), bytes.subarray(0, 20));
  expect(await refusal(identity())).toContain('WEFT_CHECKPOINT_CORRUPT');
  await rm(join(folder, name));
  expect(await refusal(identity())).toContain('WEFT_CHECKPOINT_CORRUPT');
});

test('any text in place of the manifest is read or refused by code', async () => {
  await saveCheckpoint(folder, identity(), checkpoint(1));
  const text = await readFile(join(folder, 'checkpoint.json'), 'utf8');
  const cuts = fc.tuple(fc.nat(text.length), fc.nat(20), fc.string({ maxLength: 5 }));
  const damaged = cuts.map(([at, length, put]) => text.slice(0, at) + put + text.slice(at + length));
  fc.assert(
    fc.property(fc.oneof(damaged, fc.string(), fc.json()), (given) => {
      try {
        expect(parseManifest(given).tensors.file).not.toContain('/');
      } catch (error) {
        if (!isWeftError(error, 'WEFT_CHECKPOINT_CORRUPT')) throw error;
      }
    }),
  );
});
