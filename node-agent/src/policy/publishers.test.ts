import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIdentity, parseRunSpec, sha256, signModel, type Sha256 } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writePolicy } from './policy-file.ts';
import { policySchema } from './policy.ts';
import { readPublished, trustModel, withPublished } from './publishers.ts';
import { refusalsOfSpec } from './spec-rules.ts';

const [publisher, stranger] = [1, 2].map((fill) => createIdentity(new Uint8Array(32).fill(fill)).identity);
const keyOf = ({ publicKey }: NonNullable<typeof publisher>): string => Buffer.from(publicKey).toString('hex');
const model = sha256('model');
const listing = policySchema.parse({ baseModels: 'none', publishers: [keyOf(publisher!)] });

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-publishers-'));
});
afterEach(() => rm(home, { recursive: true }));

const fileWith = async (text: string): Promise<string> => {
  const file = join(home, 'given');
  await writeFile(file, text);
  return file;
};
const rulesBroken = async (baseModel: Sha256, policy = listing): Promise<string[]> => {
  const spec = parseRunSpec({
    name: 'run',
    baseModel: { name: 'hf:Publisher/model', sha256: baseModel },
    training: { steps: 4, batchSize: 4 },
    aggregation: {},
    cohort: { minimum: 5, maximum: 5 },
    rounds: 1,
  });
  return refusalsOfSpec(spec, withPublished(policy, await readPublished(home, policy))).map(({ rule }) => rule);
};

test('a base model that a listed publisher signed is allowed, and no other', async () => {
  await writePolicy(home, listing);
  expect(await rulesBroken(model)).toEqual(['baseModels']);
  await trustModel(home, await fileWith(signModel(publisher!, model)));
  expect(await rulesBroken(model)).toEqual([]);
  expect(await rulesBroken(sha256('another'))).toEqual(['baseModels']);
  const [kept] = await readdir(join(home, 'model-statements'));
  expect((await stat(join(home, 'model-statements', kept!))).mode & 0o777).toBe(0o600);
});

test('a statement allows nothing once its publisher is off the list, or its file is touched', async () => {
  await writePolicy(home, listing);
  await trustModel(home, await fileWith(signModel(publisher!, model)));
  const without = policySchema.parse({ baseModels: [sha256('another')] });
  expect(await rulesBroken(model, without)).toEqual(['baseModels']);
  const [kept] = await readdir(join(home, 'model-statements'));
  await writeFile(join(home, 'model-statements', kept!), signModel(stranger!, model));
  expect(await rulesBroken(model)).toEqual(['baseModels']);
  await writeFile(join(home, 'model-statements', kept!), 'weftmodel1_');
  expect(await rulesBroken(model)).toEqual(['baseModels']);
});

test('what nobody on the list signed is not kept', async () => {
  await writePolicy(home, listing);
  const refused = { code: 'WEFT_MODEL_STATEMENT_INVALID' };
  for (const text of [signModel(stranger!, model), '', 'x'.repeat(5000), `${signModel(publisher!, model)}x`])
    await expect(trustModel(home, await fileWith(text))).rejects.toMatchObject(refused);
  await expect(trustModel(home, join(home, 'nothing'))).rejects.toMatchObject(refused);
  expect(await readdir(home)).not.toContain('model-statements');
});

test('hashes that are listed stay allowed beside what is signed', async () => {
  const both = policySchema.parse({ baseModels: [sha256('listed')], publishers: [keyOf(publisher!)] });
  await writePolicy(home, both);
  await trustModel(home, await fileWith(signModel(publisher!, model)));
  expect(await rulesBroken(model, both)).toEqual([]);
  expect(await rulesBroken(sha256('listed'), both)).toEqual([]);
});
