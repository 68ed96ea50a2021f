import { isWeftError } from '@weft/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatReference, isHubReference, isPlainPath, parseReference } from './reference.ts';

const parsed = (text: string, file?: string): string => {
  try {
    return JSON.stringify(parseReference(text, file));
  } catch (error) {
    if (isWeftError(error, 'WEFT_HUB_REFERENCE_INVALID')) return 'refused';
    throw error;
  }
};

test.each([
  ['hf:org/name', { repository: 'org/name', revision: 'main', file: undefined }],
  ['hf:Org-1/na.me_2@v1.0', { repository: 'Org-1/na.me_2', revision: 'v1.0', file: undefined }],
  ['hf:org/name@refs/pr/3', { repository: 'org/name', revision: 'refs/pr/3', file: undefined }],
  ['hf:org/name:a b/x-Q4_K_M.gguf', { repository: 'org/name', revision: 'main', file: 'a b/x-Q4_K_M.gguf' }],
  ['hf:org/name@v1:x.GGUF', { repository: 'org/name', revision: 'v1', file: 'x.GGUF' }],
])('%s is read and written back', (text, reference) => {
  expect(parseReference(text)).toEqual(reference);
  expect(formatReference(parseReference(text))).toBe(text);
});

test('a file may be named beside the reference, as long as both say the same', () => {
  expect(parseReference('hf:org/name', 'x.gguf').file).toBe('x.gguf');
  expect(parseReference('hf:org/name:x.gguf', 'x.gguf').file).toBe('x.gguf');
  expect(parsed('hf:org/name:x.gguf', 'y.gguf')).toBe('refused');
});

test.each([
  'hf:',
  'hf:name',
  'org/name',
  'hf:org/name/more',
  'hf:../name',
  'hf:org/..',
  'hf:org/a--b',
  'hf:org/name.',
  'hf:-org/name',
  'hf:org/name@',
  'hf:org/name@a..b',
  'hf:org/name@/a',
  'hf:org/name@a/.b',
  'hf:org/name@a.lock',
  'hf:org/name@a b',
  'hf:org/name@a@b',
  'hf:org/name:model.safetensors',
  'hf:org/name:../x.gguf',
  'hf:org/name:/x.gguf',
  'hf:org/name:a\\x.gguf',
  `hf:org/${'n'.repeat(97)}`,
])('%s is refused', (text) => {
  expect(parsed(text)).toBe('refused');
});

test('whatever is typed is read or refused, and what is read names folders below the cache only', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab1-_./@:\\ ~%') }), (rest) => {
      const text = `hf:${rest}`;
      expect(isHubReference(text)).toBe(true);
      if (parsed(text) === 'refused') return;
      const { repository, file } = parseReference(text);
      for (const part of [...repository.split('/'), ...(file ?? 'x').split('/')]) expect(part).toMatch(/^[A-Za-z0-9_]/);
    }),
    { numRuns: 2000 },
  );
});

test.each(['a/../b', '..', '.', 'a/./b', '/a', 'a//b', 'C:a', 'a\\b', 'a\u0000', 'a\u001B[2J', 'a/', 'a.', ' a', ''])(
  'the path %j is not plain',
  (path) => {
    expect(isPlainPath(path)).toBe(false);
  },
);
