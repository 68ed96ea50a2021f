import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hubAccess } from './access.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-access-'));
});
afterEach(() => rm(home, { recursive: true }));

test('the public hub is asked without a token where nothing is set', async () => {
  expect(await hubAccess({ HF_HOME: home })).toEqual({ endpoint: 'https://huggingface.co', token: undefined });
});

test('a token comes from HF_TOKEN, else from its file', async () => {
  await writeFile(join(home, 'token'), 'hf_file\n');
  await writeFile(join(home, 'other'), 'hf_other\n');
  expect((await hubAccess({ HF_HOME: home })).token).toBe('hf_file');
  expect((await hubAccess({ HF_HOME: home, HF_TOKEN: 'hf_env' })).token).toBe('hf_env');
  expect((await hubAccess({ HF_HOME: home, HF_TOKEN_PATH: join(home, 'other') })).token).toBe('hf_other');
});

test('a mirror is another address; over plain HTTP it gets no token unless it is this machine', async () => {
  const env = { HF_HOME: home, HF_TOKEN: 'hf_env' };
  for (const [endpoint, token] of [
    ['https://hub.example.org/mirror', 'hf_env'],
    ['http://127.0.0.1:8080', 'hf_env'],
    ['http://localhost:8080', 'hf_env'],
    ['http://hub.example.org', undefined],
    ['http://127.0.0.1.example.org', undefined],
  ] as const)
    expect(await hubAccess({ ...env, HF_ENDPOINT: `${endpoint}/` })).toEqual({ endpoint, token });
});

test('what is no address or no token is refused, and a token is never repeated', async () => {
  const refused = async (env: NodeJS.ProcessEnv): Promise<string> =>
    hubAccess({ HF_HOME: home, ...env }).then(
      () => 'accepted',
      (error: unknown) => (isWeftError(error, 'WEFT_CONFIG_INVALID') ? error.message : Promise.reject(error)),
    );
  for (const HF_ENDPOINT of ['hub', 'ftp://hub', 'https://user:secret@hub', 'https://hub?a=1'])
    expect(await refused({ HF_ENDPOINT })).toMatch(/^HF_ENDPOINT is no/);
  for (const HF_TOKEN of ['hf_a\r\nX-Evil: 1', 'hf_ä', `hf_${'a'.repeat(5000)}`]) {
    expect(await refused({ HF_TOKEN })).toContain('the limit is 4096');
    expect(await refused({ HF_TOKEN })).not.toContain('hf_');
  }
  expect(await refused({ HF_TOKEN_PATH: home })).toContain('EISDIR');
});
