import { createHash } from 'node:crypto';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ed25519Pem, type ExportView, type RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from '../e2e/federation.ts';
import { runProgram, runWeft } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['model_signing', 'securesystemslib', 'OpenSSL']);
const script = fileURLToPath(new URL('model_signing_witness.py', import.meta.url));
const base = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));

let federation: TestFederation;
let run: RunDetailView;
let folder: string;
let key: string;
const adapter = (): string => join(folder, 'adapter');

beforeAll(async () => {
  federation = await openFederation();
  folder = await mkdtemp(join(tmpdir(), 'weft-signing-'));
  const names = ['ana', 'ben', 'eva'];
  const places = [];
  for (const name of names) places.push(await federation.join(name, sentences(name, 60)));
  const { id } = await federation.createRun({
    aggregation: { mode: 'plain', clipNormL2: 10 },
    cohort: { minimum: 3, maximum: 3 },
    rounds: 1,
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  for (const [at, name] of names.entries())
    await federation.startNode(name, places[at]!, { policy: { secureAggregation: 'optional' } });
  run = await federation.runUntil(id, ({ state }) => state !== 'created' && state !== 'running');
  ({ coordinatorKey: key } = await federation.admin<{ coordinatorKey: string }>('GET', '/api/federation'));
  const { files } = await federation.admin<ExportView>('GET', `/api/runs/${id}/adapter`);
  await mkdir(adapter());
  for (const { name, base64 } of files) await writeFile(join(adapter(), name), Buffer.from(base64, 'base64'));
}, 120_000);
afterAll(async () => {
  await federation.close();
  await rm(folder, { recursive: true });
});

const witness = async (model: string, signature: string, publicKey = key) => {
  const { status, stdout, stderr } = await runProgram(python as string, [script, model, signature, publicKey], {
    env: process.env,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as { verified: boolean; why?: string; name: string; files: string[]; hint: string };
};

/** A copy of the exported adapter with something done to it. */
async function changed(name: string, change: (copy: string) => Promise<void>): Promise<string> {
  const copy = join(folder, name);
  await cp(adapter(), copy, { recursive: true });
  await change(copy);
  return copy;
}

describe('the statement beside an exported run', () => {
  test('is verified with the key and the log of the federation', async () => {
    expect(run.state).toBe('finished');
    const found = await runWeft([
      'model',
      'verify',
      adapter(),
      '--key',
      key,
      '--log',
      federation.coordinator.httpUrl,
      '--json',
    ]);
    expect(found.stderr).toBe('');
    expect(found.status).toBe(0);
    expect(found.stdout).toContain('holds it as the result of round 1');
    expect(found.stdout).toContain('that was seen before is the start of this one');
    expect(found.stdout).toContain(`adapter ${run.adapterSha256} is the result of round 1`);
  });

  test('names the file that differs, the file that was added, and the signature that fails', async () => {
    const config = await changed('config', (copy) => appendFile(join(copy, 'adapter_config.json'), ' '));
    const differs = await runWeft(['model', 'verify', config]);
    expect(differs.status).toBe(3);
    expect(differs.stdout).toContain('adapter_config.json differs');
    expect(differs.stderr).toContain('WEFT_STATEMENT_REFUTED');
    const more = await changed('more', (copy) => writeFile(join(copy, 'modeling.py'), 'import os'));
    expect((await runWeft(['model', 'verify', more])).stdout).toContain('modeling.py is here and was not signed');
    const signature = await changed('signature', async (copy) => {
      const file = join(copy, 'model.sig');
      const bundle = JSON.parse(await readFile(file, 'utf8')) as { dsseEnvelope: { signatures: { sig: string }[] } };
      const sig = Buffer.from(bundle.dsseEnvelope.signatures[0]!.sig, 'base64');
      sig[0]! ^= 1;
      bundle.dsseEnvelope.signatures[0]!.sig = sig.toString('base64');
      await writeFile(file, JSON.stringify(bundle));
    });
    expect((await runWeft(['model', 'verify', signature])).stdout).toContain(`is not signed by ${key}`);
    await rm(join(signature, 'model.sig'));
    expect((await runWeft(['model', 'verify', signature])).stderr).toContain('WEFT_STATEMENT_MISSING');
  });
});

describe.skipIf(skips('conformance', { 'Python with model-signing and securesystemslib': python }))(
  'for model-signing, securesystemslib and in-toto-attestation',
  () => {
    test('the statement of a run holds, with what Weft adds left aside', async () => {
      const found = await witness(adapter(), join(adapter(), 'model.sig'));
      expect(found).toMatchObject({ verified: true, name: run.spec.name });
      expect(found.files).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
      const pem = ed25519Pem(Buffer.from(key, 'hex'));
      expect(found.hint).toBe(createHash('sha256').update(pem).digest('hex'));
    });

    test('it holds neither for another key nor for other files', async () => {
      const signature = join(adapter(), 'model.sig');
      const other = (await runWeft(['org', 'create', '--out', join(folder, 'other.key')])).stdout.trim();
      expect((await witness(adapter(), signature, other)).why).toContain('VerificationError');
      const copy = await changed('flipped', (place) => appendFile(join(place, 'adapter_model.safetensors'), ' '));
      // Python's repr quotes the name one way or the other, as the digest's bytes ask for
      expect((await witness(copy, signature)).why).toMatch(/Hash mismatch for \\?'adapter_model\.safetensors\\?'/);
    });

    test('what an organisation signs with --sign holds, a folder and a file alone', async () => {
      const secret = join(folder, 'org.key');
      const org = (await runWeft(['org', 'create', '--out', secret])).stdout.trim();
      const exportTo = async (out: string, format: string) => {
        const made = await runWeft([
          'export',
          '--model',
          base,
          '--format',
          format,
          '--out',
          join(folder, out),
          '--sign',
          secret,
        ]);
        expect(made.stderr).toBe('');
        return join(folder, out);
      };
      const merged = await exportTo('merged', 'safetensors');
      expect(await witness(merged, join(merged, 'model.sig'), org)).toMatchObject({ verified: true, name: 'merged' });
      const gguf = await exportTo('one.gguf', 'gguf');
      expect(await witness(gguf, `${gguf}.sig`, org)).toMatchObject({ verified: true, files: ['.'] });
      expect((await runWeft(['model', 'verify', gguf, '--key', org])).status).toBe(0);
      expect((await runWeft(['model', 'verify', gguf, '--key', key])).status).toBe(3);
    });
  },
);
