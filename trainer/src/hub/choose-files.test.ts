import { isWeftError } from '@weft/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseFolder, chooseGguf, chooseHead } from './choose-files.ts';
import { isPlainPath, parseReference } from './reference.ts';
import { printable, refusal } from './refusal.ts';
import { type HubFile, toHubFile } from './repository.ts';

const oid = 'a'.repeat(40);
const listed = (...paths: string[]): HubFile[] =>
  paths.flatMap((path) => toHubFile({ type: 'file', path, size: 1, oid }));
const chosen = (paths: string[], index?: string): string[] =>
  chooseFolder(listed(...paths), index).map(({ path }) => path);

test('of two copies of the weights those come that the model is opened from', () => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  expect(chosen(['config.json', 'consolidated.safetensors', ...shards])).toEqual(['config.json', ...shards]);
  expect(chosen(['config.json', 'model.safetensors', ...shards])).toEqual(['config.json', 'model.safetensors']);
});

test('a licence and a chat template come along, code and pickles never', () => {
  const kept = ['config.json', 'tokenizer.json', 'chat_template.jinja', 'LICENSE', 'model.safetensors'];
  const left = ['modeling_x.py', 'pytorch_model.bin', 'optimizer.pt', 'sub/model.safetensors', '.hidden.safetensors'];
  expect(chosen([...left, ...kept])).toEqual(kept);
});

test('an index that names what the repository lacks is refused', () => {
  expect(() => chosen(['config.json'], '{"weight_map":{"a":"b.safetensors"}}')).toThrow(
    'the index names b.safetensors, which the repository does not hold',
  );
});

test('a name with a control character reaches neither the disk nor the terminal', () => {
  expect(() => chosen(['config.json', 'model\u001B[2J.safetensors'])).toThrow(
    'the hub lists a file as "model [2J.safetensors"',
  );
  expect(printable('a\u001B]0;b\u0007\n\u202Ec')).toBe('a ]0;b c');
});

test.each(['config.json', 'model.safetensors.index.json'])('%s of any size is not even begun', (vast) => {
  const names = ['config.json', 'tokenizer.json', 'model.safetensors', 'model.safetensors.index.json'];
  const files = listed(...names).map((file) => (file.path === vast ? { ...file, sizeBytes: 2 ** 40 } : file));
  expect(() => chooseHead(files, parseReference('hf:org/name'))).toThrow(`bytes of ${vast}: 1099511627776`);
});

/** Paths that a listing might hold, near to right ones. */
const paths = fc.oneof(
  fc.constantFrom('config.json', 'tokenizer.json', 'model.safetensors', 'a.gguf', 'model.safetensors.index.json'),
  fc
    .string({ unit: fc.constantFrom('.', '/', '\\', 'a', '\u0000', ' ', '-'), maxLength: 12 })
    .map((name) => `${name}.gguf`),
  fc.string({ maxLength: 12 }).map((name) => `${name}.safetensors`),
);
const entries = fc.record(
  {
    type: fc.constantFrom('file', 'directory', 'other'),
    path: fc.oneof(paths, fc.anything()),
    size: fc.oneof(fc.nat(), fc.constantFrom(-1, 1.5, Number.NaN, 2 ** 60), fc.anything()),
    oid: fc.oneof(fc.constant(oid), fc.anything()),
    lfs: fc.oneof(fc.constant({ oid: 'b'.repeat(64), size: 5, pointerSize: 130 }), fc.anything()),
  },
  { requiredKeys: ['type'] },
);

test('whatever a listing says becomes plain paths of bounded size, or a catalogued error', () => {
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 6 }), fc.option(fc.json(), { nil: undefined }), (answer, index) => {
      let files: HubFile[];
      try {
        files = answer.flatMap(toHubFile);
      } catch (error) {
        expect((error as Error).name).toBe('ZodError'); // an answer that is none, as the caller says
        return;
      }
      const reference = parseReference('hf:org/name');
      for (const choose of [
        () => Object.values(chooseHead(files, reference)).flatMap((file) => file ?? []),
        () => chooseFolder(files, index),
        () => chooseGguf(files, 'org/name', files[0]?.path ?? 'a.gguf'),
      ]) {
        try {
          for (const { path, sizeBytes } of choose()) {
            expect(isPlainPath(path)).toBe(true);
            expect(sizeBytes).toBeLessThanOrEqual(50_000_000_000);
          }
        } catch (error) {
          if (!isWeftError(error) || error.code === 'WEFT_INTERNAL') throw error;
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('whatever a refusal says, its message is short and one line', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 400, max: 599 }),
      fc.constantFrom('GatedRepo', 'RevisionNotFound', 'EntryNotFound', 'RepoNotFound', 'other'),
      fc.string({ unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)) }),
      fc.boolean(),
      (status, code, words, ours) => {
        const headers = { 'x-error-code': code, 'x-error-message': words, 'retry-after': words, ratelimit: words };
        const access = { endpoint: 'https://hub.example.org', token: undefined };
        const error = refusal(new Response('', { status, headers }), parseReference('hf:org/name'), access, ours);
        expect(error.message).toMatch(/^[ -~]{1,400}$/);
      },
    ),
  );
});
