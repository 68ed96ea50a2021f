import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HubRepository } from '../../../test/hub-repository.ts';
import { type HubServer, startHub } from '../../../test/hub-server.ts';
import { tinyLlama } from '../../test/gguf-file.ts';
import { openModel } from '../open-model.ts';
import { hashModel } from '../weights/model-files.ts';
import type { HubAccess } from './access.ts';
import { type Pull, pullModel, type PullOptions } from './pull.ts';
import { parseReference } from './reference.ts';
import { findPulled, listPulled } from './snapshot.ts';

const bundled = fileURLToPath(new URL('../../../models/weft-tiny-llama', import.meta.url));
/** Of the files of one model, from those that training needs. */
const modelNames = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
let modelFiles: Record<string, Uint8Array>;
let weights: Uint8Array;
let cacheDir: string;
let waits: number[];

beforeAll(async () => {
  const read = modelNames.map(async (name) => [name, await readFile(join(bundled, name))] as const);
  modelFiles = Object.fromEntries(await Promise.all(read));
  weights = modelFiles['model.safetensors'] as Uint8Array;
});
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'weft-pull-'));
  waits = [];
});
afterEach(() => rm(cacheDir, { recursive: true }));

const gguf = tinyLlama();
const unsafe = { 'pytorch_model.bin': 'pickle', 'training_args.bin': 'pickle', 'onnx/model.onnx': 'graph' };
const tiny = (): Record<string, HubRepository> => ({
  'weft/tiny': { revisions: { main: { ...modelFiles, ...unsafe, 'README.md': 'card', '.gitattributes': 'lfs' } } },
});

const pull = (hub: HubServer | HubAccess, text: string, options: Partial<PullOptions> = {}): Promise<Pull> =>
  pullModel(parseReference(text), {
    access: { endpoint: hub.endpoint, token: 'token' in hub ? hub.token : undefined },
    cacheDir,
    wait: async (ms) => void waits.push(ms),
    ...options,
  });

const refusal = (pulling: Promise<unknown>): Promise<string> =>
  pulling.then(
    () => 'pulled',
    (error: unknown) => {
      if (isWeftError(error)) return `${error.code} ${error.message}`;
      throw error;
    },
  );

const kept = async (): Promise<string[]> => [
  ...(await readdir(join(cacheDir, 'hub/blobs'))),
  ...(await readdir(join(cacheDir, 'hub/incoming'))),
];

const fetchedPaths = (hub: HubServer): string[] =>
  hub.requests.flatMap(({ path }) => /\/resolve\/[^/]+\/(?<file>.+)$/.exec(path)?.[1] ?? []);

/** The requests for the weights themselves, which come from the content network. */
const weightRequests = (hub: HubServer): (string | undefined)[] =>
  hub.requests.filter(({ place }) => place === 'cdn').map(({ range }) => range);

const startOf = (range: string | undefined): number => Number(/^bytes=(?<from>\d+)-$/.exec(range ?? 'bytes=0-')?.[1]);

/** Breaks the content network's answers in turn. */
const breakWeights = (hub: HubServer, ...faults: NonNullable<ReturnType<HubServer['fault']>>[]): void => {
  hub.fault = ({ place }) => (place === 'cdn' ? faults.shift() : undefined);
};

describe('a model that is pulled', () => {
  test('is what training needs and nothing else, and opens with the hash of the original', async () => {
    await using hub = await startHub(tiny());
    const pulled = await pull(hub, 'hf:weft/tiny');
    expect(fetchedPaths(hub).toSorted()).toEqual(modelNames);
    expect((await readdir(pulled.path)).toSorted()).toEqual(modelNames);
    expect(pulled).toMatchObject({
      repository: 'weft/tiny',
      commit: hub.commitOf('weft/tiny'),
      revisions: ['main'],
      sha256: await hashModel(bundled),
    });
    expect(pulled.fetchedBytes).toBe(pulled.sizeBytes);
    const model = await openModel('hf:weft/tiny', { cacheDir });
    expect(model).toMatchObject({ name: 'weft/tiny', sha256: pulled.sha256, path: pulled.path });
    expect(await readdir(join(cacheDir, 'hub/incoming'))).toEqual([]);
  });

  test('is not fetched again, and by its commit asks nobody', async () => {
    await using hub = await startHub(tiny());
    const first = await pull(hub, 'hf:weft/tiny');
    hub.requests.length = 0;
    expect(await pull(hub, 'hf:weft/tiny')).toEqual({ ...first, fetchedBytes: 0 });
    expect(hub.requests).toHaveLength(1);
    await pull(hub, `hf:weft/tiny@${first.commit}`);
    expect(hub.requests).toHaveLength(1);
  });

  test('shares its files with other models of the same content', async () => {
    const other = { ...modelFiles, 'tokenizer_config.json': '{}' };
    await using hub = await startHub({ ...tiny(), 'weft/twin': { revisions: { main: other } } });
    const [one, two] = [await pull(hub, 'hf:weft/tiny'), await pull(hub, 'hf:weft/twin')];
    expect(weightRequests(hub)).toHaveLength(1);
    const inodes = await Promise.all(
      [one, two].map(async ({ path }) => (await stat(join(path, 'model.safetensors'))).ino),
    );
    expect(inodes[0]).toBe(inodes[1]);
    // one more blob: the configuration of the tokenizer
    expect(await readdir(join(cacheDir, 'hub/blobs'))).toHaveLength(modelNames.length + 1);
  });

  test('is found by branch, tag, commit and the beginning of a commit', async () => {
    const tagged = { ...modelFiles, 'tokenizer_config.json': '{}' };
    await using hub = await startHub({ 'weft/tiny': { revisions: { main: modelFiles, 'v1/rc': tagged } } });
    const main = await pull(hub, 'hf:weft/tiny');
    const tag = await pull(hub, 'hf:weft/tiny@v1/rc');
    expect(tag.commit).not.toBe(main.commit);
    expect((await findPulled('hf:weft/tiny', cacheDir)).commit).toBe(main.commit);
    for (const name of ['v1/rc', tag.commit, tag.commit.slice(0, 7)])
      expect((await findPulled(`hf:weft/tiny@${name}`, cacheDir)).commit).toBe(tag.commit);
    expect((await listPulled(cacheDir)).flatMap(({ revisions }) => revisions).toSorted()).toEqual(['main', 'v1/rc']);
    expect(await refusal(findPulled('hf:weft/other@v2', cacheDir))).toBe(
      'WEFT_HUB_NOT_PULLED hf:weft/other@v2 is not in the cache: `weft model pull hf:weft/other@v2` fetches it',
    );
  });

  test('may be one GGUF of many, in a folder', async () => {
    const files = { 'q4/tiny.Q4_0.gguf': gguf, 'q8/tiny.Q8_0.gguf': Buffer.concat([gguf, gguf]), 'README.md': 'card' };
    await using hub = await startHub({ 'weft/tiny-gguf': { revisions: { main: files } } });
    const pulled = await pull(hub, 'hf:weft/tiny-gguf:q4/tiny.Q4_0.gguf');
    expect(fetchedPaths(hub)).toEqual(['q4/tiny.Q4_0.gguf']);
    const model = await openModel('hf:weft/tiny-gguf', { cacheDir });
    expect(model).toMatchObject({ sha256: pulled.sha256, path: pulled.path });
    await pull(hub, 'hf:weft/tiny-gguf:q8/tiny.Q8_0.gguf');
    expect(await refusal(findPulled('hf:weft/tiny-gguf', cacheDir))).toContain('means 2 pulled models');
    expect(await refusal(pull(hub, 'hf:weft/tiny-gguf:q4/other.gguf'))).toBe(
      'WEFT_HUB_FILE_UNKNOWN weft/tiny-gguf holds no q4/other.gguf; it holds tiny.Q4_0.gguf',
    );
    // the names of a listing are those of one folder
    expect(await refusal(pull(hub, 'hf:weft/tiny-gguf'))).toContain('WEFT_HUB_WEIGHTS_UNUSABLE');
  });

  test('takes the shards that its index names, over the pages of a long listing', async () => {
    const index = { weight_map: { a: 'part-b.safetensors', b: 'part-a.safetensors' } };
    const shards = { 'part-a.safetensors': 'a', 'part-b.safetensors': 'b', 'consolidated.safetensors': 'both' };
    const files = { ...modelFiles, ...shards, 'model.safetensors.index.json': JSON.stringify(index) };
    await using hub = await startHub({ 'weft/sharded': { revisions: { main: files } } });
    hub.pageLength = 2;
    const { path } = await pull(hub, 'hf:weft/sharded');
    const names = await readdir(path);
    expect(names.filter((name) => name.endsWith('.safetensors')).toSorted()).toEqual(Object.keys(shards).slice(0, 2));
    expect(hub.requests.filter(({ path }) => path.includes('cursor=')).length).toBeGreaterThan(2);
  });

  test('comes once however many pull it at the same time', async () => {
    await using hub = await startHub(tiny());
    const pulls = await Promise.all([1, 2, 3].map(() => pull(hub, 'hf:weft/tiny')));
    expect(new Set(pulls.map(({ path }) => path)).size).toBe(1);
    expect((await openModel('hf:weft/tiny', { cacheDir })).sha256).toBe(pulls[0]?.sha256);
    expect(await readdir(join(cacheDir, 'hub/models/weft/tiny', pulls[0]?.commit ?? ''))).toEqual(['safetensors']);
    expect(await readdir(join(cacheDir, 'hub/incoming'))).toEqual([]);
  });

  test('that was changed in the cache is not opened, and the next pull replaces it', async () => {
    await using hub = await startHub(tiny());
    const first = await pull(hub, 'hf:weft/tiny');
    const config = join(first.path, 'config.json');
    await writeFile(config, (await readFile(config, 'utf8')).replace('"llama"', '"gemma"'));
    // of the same length: only its hash tells the pull
    expect(await refusal(openModel('hf:weft/tiny', { cacheDir }))).not.toBe('pulled');
    expect((await pull(hub, 'hf:weft/tiny')).sha256).toBe(first.sha256);
    expect((await openModel('hf:weft/tiny', { cacheDir })).sha256).toBe(first.sha256);

    const changed = Uint8Array.from(weights);
    changed[changed.length - 1] = 1 - Math.min(1, changed.at(-1) ?? 0);
    await writeFile(join(first.path, 'model.safetensors'), changed);
    expect(await refusal(openModel('hf:weft/tiny', { cacheDir }))).toContain('WEFT_HUB_CACHE_DAMAGED');
    const { fetchedBytes } = await pull(hub, 'hf:weft/tiny');
    expect(fetchedBytes).toBeGreaterThanOrEqual(weights.length);
    expect((await openModel('hf:weft/tiny', { cacheDir })).sha256).toBe(first.sha256);

    await appendFile(join(first.path, 'tokenizer_config.json'), '\n');
    expect((await pull(hub, 'hf:weft/tiny')).fetchedBytes).toBeGreaterThan(0);
  });
});

test('a manifest that names a file outside its folder, or another model, is none', async () => {
  await using hub = await startHub(tiny());
  const { path } = await pull(hub, 'hf:weft/tiny');
  const file = join(path, '../snapshot.json');
  const manifest = await readFile(file, 'utf8');
  for (const [from, to] of [
    ['"config.json"', '"../config.json"'],
    ['"config.json"', '".."'],
    ['"file": null', '"file": "../.."'],
    ['"weft/tiny"', '"weft/../../tiny"'],
    ['"weft/tiny"', '"weft/other"'],
    ['"version": 1', '"version": 2'],
    ['{', '['],
  ] as const) {
    expect(manifest).toContain(from);
    await writeFile(file, manifest.replace(from, to));
    expect(await listPulled(cacheDir)).toEqual([]);
  }
  expect((await pull(hub, 'hf:weft/tiny')).path).toBe(path);
  expect(await listPulled(cacheDir)).toHaveLength(1);
});

describe('a connection that breaks', () => {
  test('is taken up where it ended, as often as bytes came', async () => {
    await using hub = await startHub(tiny());
    const cut = { breakAfterBytes: 1_000_000 };
    breakWeights(hub, cut, cut, cut, cut, cut, cut, cut);
    const failures: string[] = [];
    const pulled = await pull(hub, 'hf:weft/tiny', { onRetry: ({ code }) => failures.push(code) });
    const starts = weightRequests(hub).map(startOf);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(starts[0]).toBe(0);
    expect(new Set(starts).size).toBe(8);
    expect(pulled.sha256).toBe(await hashModel(bundled));
    // no byte came twice
    expect(pulled.fetchedBytes).toBe(pulled.sizeBytes);
    expect(failures).toEqual(Array.from({ length: 7 }, () => 'WEFT_HUB_UNREACHABLE'));
  });

  test('is given up without progress, and a later pull goes on', async () => {
    await using hub = await startHub(tiny());
    const dead = { breakAfterBytes: 0 };
    breakWeights(hub, { breakAfterBytes: 3_000_000 }, dead, dead, dead, dead, dead);
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('WEFT_HUB_UNREACHABLE');
    expect(waits).toHaveLength(5);
    hub.requests.length = 0;
    const { fetchedBytes, sizeBytes } = await pull(hub, 'hf:weft/tiny');
    const starts = weightRequests(hub).map(startOf);
    expect(starts).toEqual([expect.toSatisfy((start: number) => start > 1_000_000 && start <= 3_000_000)]);
    // and what git has, it has not by SHA-256, so it comes again
    const small = sizeBytes - weights.length;
    expect(fetchedBytes).toBe(small + weights.length - (starts[0] ?? 0));
  });

  test('of a server without ranges begins anew', async () => {
    await using hub = await startHub(tiny());
    breakWeights(hub, { breakAfterBytes: 3_000_000 }, { ignoreRange: true });
    expect((await pull(hub, 'hf:weft/tiny')).sha256).toBe(await hashModel(bundled));
  });

  test('that goes on at another byte is refused', async () => {
    await using hub = await startHub(tiny());
    const wrong = { headers: { 'content-range': `bytes 5-${weights.length - 1}/${weights.length}` } };
    breakWeights(hub, { breakAfterBytes: 3_000_000 }, wrong);
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toMatch(
      /^WEFT_HUB_ANSWER_INVALID bytes from \d{7} of model.safetensors were asked for, others came \(5\)$/,
    );
  });

  test('leaves what a damaged disk may have changed: the file comes once more from its start', async () => {
    await using hub = await startHub(tiny());
    breakWeights(hub, { breakAfterBytes: 3_000_000 }, ...Array.from({ length: 5 }, () => ({ breakAfterBytes: 0 })));
    await refusal(pull(hub, 'hf:weft/tiny'));
    const [partial = ''] = await readdir(join(cacheDir, 'hub/incoming'));
    await writeFile(join(cacheDir, 'hub/incoming', partial), Buffer.alloc(3_000_000));
    hub.requests.length = 0;
    expect((await pull(hub, 'hf:weft/tiny')).sha256).toBe(await hashModel(bundled));
    expect(weightRequests(hub)).toEqual(['bytes=3000000-', undefined]);
  });

  test('by Ctrl-C leaves its beginning for the next pull', async () => {
    await using hub = await startHub(tiny());
    const stop = new AbortController();
    breakWeights(hub, { stallAfterBytes: 3_000_000 });
    const stopped = pull(hub, 'hf:weft/tiny', {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.event === 'bytes' && event.doneBytes > 2_900_000) stop.abort();
      },
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    const { fetchedBytes, sizeBytes } = await pull(hub, 'hf:weft/tiny');
    expect(fetchedBytes).toBeLessThan(sizeBytes - 2_000_000);
  });
});

describe('a server that is busy', () => {
  test('is asked again after the time that it names, or after a growing one', async () => {
    await using hub = await startHub(tiny());
    const faults = [
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 429, headers: { ratelimit: '"api";r=0;t=55' } },
      { status: 503 },
      { status: 502 },
    ];
    hub.fault = () => faults.shift();
    await pull(hub, 'hf:weft/tiny');
    expect(waits.slice(0, 2)).toEqual([7000, 55_000]);
    expect(waits[2]).toBeGreaterThanOrEqual(1000);
    expect(waits[3]).toBeGreaterThanOrEqual(2000);
  });

  test('is left alone when it asks for more than five minutes, and after six tries', async () => {
    await using hub = await startHub(tiny());
    hub.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('answered 429 and asks to wait 3600 s');
    expect(waits).toEqual([]);
    hub.fault = () => ({ status: 500 });
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('WEFT_HUB_BUSY');
    expect(waits).toHaveLength(5);
  });

  test('at the content network is asked for a fresh address', async () => {
    await using hub = await startHub(tiny());
    breakWeights(hub, { breakAfterBytes: 1_000_000 }, { status: 403 });
    await pull(hub, 'hf:weft/tiny');
    expect(fetchedPaths(hub).filter((path) => path === 'model.safetensors')).toHaveLength(3);
  });
});

describe('what does not have the hash of the listing', () => {
  test.each([
    ['large', { 'model.safetensors': { sha256: 'a'.repeat(64) } }, 'model.safetensors came with SHA-256'],
    [
      'of another size',
      { 'model.safetensors': { sizeBytes: 1000 } },
      "is to come with 7875328 bytes, the hub's listing says 1000",
    ],
  ])('is kept out of the cache: %s', async (_, listedAs, words) => {
    await using hub = await startHub({ 'weft/tiny': { revisions: { main: modelFiles }, listedAs } });
    const said = await refusal(pull(hub, 'hf:weft/tiny'));
    expect(said).toContain(`WEFT_HUB_HASH_MISMATCH`);
    expect(said).toContain(words);
    expect(await listPulled(cacheDir)).toEqual([]);
    // the small files, which came before it
    expect(await kept()).toHaveLength(modelNames.length - 1);
  });

  test('is kept out of the cache: small', async () => {
    await using hub = await startHub(tiny());
    const tokenizer = Buffer.from(modelFiles['tokenizer.json'] as Uint8Array);
    hub.fault = ({ path }) =>
      path.includes('resolve-cache') && path.endsWith('/tokenizer.json')
        ? { body: Buffer.from(tokenizer.toString().replace('a', 'b')) }
        : undefined;
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('tokenizer.json came with git SHA-1');
    expect((await kept()).length).toBe(1);
  });

  test('is kept out of the cache: longer than its size, in a body without a length', async () => {
    await using hub = await startHub(tiny());
    hub.fault = ({ path }) =>
      path.includes('resolve-cache') && path.endsWith('/config.json')
        ? { body: Buffer.concat([modelFiles['config.json'] as Uint8Array, Buffer.from('  ')]) }
        : undefined;
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('WEFT_HUB_HASH_MISMATCH');
    expect(await kept()).toEqual([]);
  });
});

/** An address where nobody listens. */
const closing = async (): Promise<HubAccess> => {
  const hub = await startHub({});
  await hub[Symbol.asyncDispose]();
  return { endpoint: hub.endpoint, token: undefined };
};

describe('a pull is refused', () => {
  const repositories = (): Record<string, HubRepository> => ({
    ...tiny(),
    'weft/private': { revisions: { main: modelFiles }, privateTo: 'hf_owner' },
    'weft/gated': { revisions: { main: modelFiles }, gatedTo: 'hf_member' },
    'weft/pickled': { revisions: { main: { 'config.json': '{}', ...unsafe } } },
    'weft/only-gguf': { revisions: { main: { 'a.gguf': gguf, 'b.gguf': gguf } } },
    'weft/split': { revisions: { main: { 'a-00001-of-00002.gguf': gguf } } },
    'weft/bert': { revisions: { main: { ...modelFiles, 'config.json': '{"model_type":"bert"}' } } },
    'weft/escaping': {
      revisions: {
        main: { ...modelFiles, 'model.safetensors.index.json': '{"weight_map":{"a":"../../evil.safetensors"}}' },
      },
    },
    'weft/vast': {
      revisions: { main: modelFiles },
      listedAs: { 'model.safetensors': { sizeBytes: 49_000_000_000_000 } },
    },
  });

  test.each([
    ['hf:weft/none', undefined, 'WEFT_HUB_MODEL_UNKNOWN there is no weft/none'],
    ['hf:weft/none', 'hf_any', 'WEFT_HUB_MODEL_UNKNOWN'],
    ['hf:weft/private', undefined, 'not for a request without a token'],
    ['hf:weft/private', 'hf_any', 'not for a request with a token'],
    ['hf:weft/gated', undefined, /^WEFT_HUB_GATED weft\/gated is gated \(http:.*\/weft\/gated\): .* answered 401/],
    ['hf:weft/gated', 'hf_any', /^WEFT_HUB_GATED weft\/gated is gated \(http:.*\/weft\/gated\): .* answered 403/],
    ['hf:weft/tiny', 'hf_expired', 'WEFT_HUB_TOKEN_REFUSED'],
    ['hf:weft/tiny@v9', undefined, 'WEFT_HUB_REVISION_UNKNOWN weft/tiny has no revision v9'],
    ['hf:weft/tiny:a.gguf', undefined, 'WEFT_HUB_FILE_UNKNOWN weft/tiny holds no a.gguf'],
    ['hf:weft/only-gguf', undefined, 'WEFT_HUB_FILE_UNKNOWN weft/only-gguf holds GGUF files only: a.gguf, b.gguf'],
    ['hf:weft/split:a-00001-of-00002.gguf', undefined, 'WEFT_HUB_WEIGHTS_UNUSABLE'],
    ['hf:weft/pickled', undefined, 'holds its weights only pickled (pytorch_model.bin, training_args.bin)'],
    ['hf:weft/bert', undefined, 'WEFT_MODEL_UNSUPPORTED'],
    ['hf:weft/escaping', undefined, 'WEFT_MODEL_PATH_ESCAPES'],
    ['hf:weft/vast', undefined, 'WEFT_HUB_LIMIT bytes of model.safetensors: 49000000000000, the limit is 50000000000'],
  ])('%s with token %s', async (reference, token, words) => {
    await using hub = await startHub(repositories());
    const said = await refusal(pull({ endpoint: hub.endpoint, token }, reference));
    expect(said).toMatch(words);
    expect(weightRequests(hub)).toEqual([]);
    expect(await listPulled(cacheDir)).toEqual([]);
  });

  test('where there is no network', async () => {
    expect(await refusal(pull(await closing(), 'hf:weft/tiny'))).toMatch(
      /^WEFT_HUB_UNREACHABLE 127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)$/,
    );
    expect(waits).toHaveLength(5);
  });

  test('where the disk is too small, with both numbers', async () => {
    const shards = Array.from({ length: 70 }, (_, i) => `shard-${i}.safetensors`);
    const index = { weight_map: Object.fromEntries(shards.map((name, i) => [`t${i}`, name])) };
    const files = {
      'config.json': modelFiles['config.json'] as Uint8Array,
      'tokenizer.json': modelFiles['tokenizer.json'] as Uint8Array,
      'model.safetensors.index.json': JSON.stringify(index),
      ...Object.fromEntries(shards.map((name) => [name, name])),
    };
    const listedAs = Object.fromEntries(shards.map((name) => [name, { sizeBytes: 50_000_000_000 }]));
    await using hub = await startHub({ 'weft/huge': { revisions: { main: files }, listedAs } });
    expect(await refusal(pull(hub, 'hf:weft/huge'))).toMatch(
      /^WEFT_DISK_FULL 35000000\d+ bytes are to be fetched into the cache, \d+ are free/,
    );
    expect(weightRequests(hub)).toEqual([]);
  });

  test('where the listing goes on at another server, or is none', async () => {
    await using hub = await startHub(tiny());
    hub.fault = ({ path }) =>
      path.includes('/tree/') ? { headers: { link: '<http://127.0.0.2:9/next>; rel="next"' } } : undefined;
    expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('the listing goes on at another server');
    for (const body of ['', '{', 'null', '[{"type":"file"}]', '[{"type":"file","path":"a","size":-1,"oid":"x"}]']) {
      hub.fault = ({ path }) => (path.includes('/tree/') ? { body: Buffer.from(body) } : undefined);
      expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('WEFT_HUB_ANSWER_INVALID');
    }
  });

  test('where a redirect leads in a circle or to no web address', async () => {
    await using hub = await startHub(tiny());
    for (const location of ['/weft/tiny/resolve/x/y', 'file:///etc/passwd', '//[']) {
      hub.fault = ({ path }) => (path.startsWith('/weft/') ? { status: 302, headers: { location } } : undefined);
      expect(await refusal(pull(hub, 'hf:weft/tiny'))).toContain('WEFT_HUB_ANSWER_INVALID');
    }
  });
});

test('a token opens what is private or gated, and reaches the hub only', async () => {
  await using hub = await startHub({
    'weft/private': { revisions: { main: modelFiles }, privateTo: 'hf_owner' },
    'weft/gated': { revisions: { main: modelFiles }, gatedTo: 'hf_owner' },
  });
  const access = { endpoint: hub.endpoint, token: 'hf_owner' };
  await pull(access, 'hf:weft/private');
  await pull(access, 'hf:weft/gated');
  const places = Map.groupBy(hub.requests, ({ place }) => place);
  expect(new Set(places.get('hub')?.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer hf_owner']));
  expect(new Set(places.get('cdn')?.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
});
