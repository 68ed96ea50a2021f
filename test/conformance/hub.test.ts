import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startHub } from '../hub-server.ts';
import { runProgram } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['huggingface_hub']);
const model = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'weft-hub-'));
});
afterEach(() => rm(cache, { recursive: true }));

describe.skipIf(skips('conformance', { 'Python with huggingface_hub': python }))('huggingface_hub', () => {
  test('pulls from the hub that our tests pull from, and is refused as by the real one', async () => {
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    const contents = await Promise.all(names.map((name) => readFile(join(model, name))));
    const files = Object.fromEntries(names.map((name, i) => [name, contents[i] ?? '']));
    await using hub = await startHub({
      'weft/tiny': { revisions: { main: { ...files, 'sub/other.json': '{}' } } },
      'weft/gated': { revisions: { main: files }, gatedTo: 'hf_member' },
    });
    hub.pageLength = 3;
    const script = fileURLToPath(new URL('hub.py', import.meta.url));
    const { HF_TOKEN: _token, ...rest } = process.env;
    const env = { ...rest, HF_ENDPOINT: hub.endpoint, HF_HOME: join(cache, 'home'), HF_HUB_DISABLE_TELEMETRY: '1' };
    const args = [script, 'weft/tiny', join(cache, 'hub')];
    const witness = await runProgram(python as string, args, { env });
    expect(witness.status === 0 ? '' : witness.stderr).toBe('');
    const sha256 = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');
    expect(JSON.parse(witness.stdout)).toEqual({
      commit: hub.commitOf('weft/tiny'),
      files: {
        ...Object.fromEntries(names.map((name, i) => [name, sha256(contents[i] ?? '')])),
        'sub/other.json': sha256('{}'),
      },
      refused: ['RepositoryNotFoundError', 'GatedRepoError', 'GatedRepoError', 'pulled', 'RevisionNotFoundError'],
    });
  });
});
