import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createIdentity, type ExportView, type RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openFederation, sentences, type TestFederation } from '../e2e/federation.ts';
import { runProgram, runWeft } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['cryptography']);
const script = fileURLToPath(new URL('log.py', import.meta.url));

/** The first two nodes are theirs, and cosign. */
const organisations = [createIdentity().identity, createIdentity().identity];
let federation: TestFederation;
let run: RunDetailView;
const folder = (): string => join(federation.folder, 'coordinator', 'log');

beforeAll(async () => {
  federation = await openFederation();
  const names = ['ana', 'ben', 'eva'];
  const places = [];
  for (const [at, name] of names.entries()) {
    const organisation = organisations[at];
    places.push(await federation.join(name, sentences(name, 60), organisation && { organisation }));
  }
  const { id } = await federation.createRun({
    aggregation: { clipNormL2: 10, weighting: 'uniform' },
    cohort: { minimum: 3, maximum: 3 },
    evaluation: { heldOutShare: 0 },
    privacy: { noiseMultiplier: 0.25, adaptiveClipping: true },
    rounds: 2,
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  for (const [at, name] of names.entries())
    await federation.startNode(name, places[at]!, {
      policy: { smallestCohort: 3, witness: organisations[at] ? 'yes' : 'no' },
    });
  run = await federation.runUntil(id, ({ state }) => state !== 'created' && state !== 'running');
  // The federation's own signature and those of two witnesses, on the newest checkpoint.
  await vi.waitUntil(
    async () => (await readFile(join(folder(), 'checkpoint'), 'utf8')).split('\n\u2014 ').length === 4,
    60_000,
  );
}, 180_000);
afterAll(() => federation.close());

describe('the log of a federation', () => {
  test('is verified from its address and from its folder, down to the adapter that was exported', async () => {
    expect(run.state).toBe('finished');
    const { files } = await federation.admin<ExportView>('GET', `/api/runs/${run.id}/adapter`);
    const adapter = join(federation.folder, 'adapter.safetensors');
    await writeFile(adapter, Buffer.from(files.find(({ name }) => name.endsWith('.safetensors'))!.base64, 'base64'));
    const key = (await readFile(join(folder(), 'vkey'), 'utf8')).trim();
    const verified = await runWeft([
      'log',
      'verify',
      federation.coordinator.httpUrl,
      '--key',
      key,
      '--adapter',
      adapter,
    ]);
    expect(verified.stderr).toBe('');
    expect(verified.status).toBe(0);
    expect(verified.stdout).toContain(`adapter ${run.adapterSha256} is the result of round 2`);
    expect(verified.stdout).toContain('2 organisations cosigned the checkpoint of 13 entries');
    expect(verified.stdout).toContain('not checked');
    const shown = await runWeft(['log', 'show', folder(), '--json']);
    const names = shown.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name: string }).name);
    const round = ['offer', 'roster', 'cut', 'open', 'result'];
    expect(names).toEqual(['enrol', 'enrol', 'enrol', ...round, ...round]);
  });

  test('with one byte changed ends with 3, and names the entry', async () => {
    const copy = join(federation.folder, 'copy');
    await cp(folder(), copy, { recursive: true });
    const tile = join(copy, 'tile/0/000.p/13');
    const bytes = await readFile(tile);
    bytes[32 * 7]! ^= 1;
    await writeFile(tile, bytes);
    const refuted = await runWeft(['log', 'verify', copy, '--json']);
    expect(refuted.status).toBe(3);
    expect(refuted.stderr).toContain('WEFT_LOG_REFUTED');
    expect(refuted.stderr).toContain('entry 7');
    await rm(copy, { recursive: true });
  });

  test.skipIf(skips('conformance', { 'Python with cryptography': python }))(
    'holds for a second implementation, written from the specifications',
    async () => {
      const second = await runProgram(python as string, [script, folder()], { env: process.env });
      expect(second.stderr).toBe('');
      const found = JSON.parse(second.stdout) as {
        entries: number;
        adapters: Record<string, string>;
        norms: Record<string, number[]>;
        organisations: string[];
      };
      const keys = organisations.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'));
      expect(found.organisations).toEqual(keys.toSorted());
      expect(found.entries).toBe(13);
      expect(found.adapters).toEqual({ [run.id.slice(2)]: run.adapterSha256 });
      const { [run.id.slice(2)]: norms } = found.norms;
      expect(norms).toHaveLength(2);
      // To the bit what members of the second round clipped to.
      expect(norms![0]).toBe(run.roundsDone[1]!.clipNormL2);
    },
  );
});
