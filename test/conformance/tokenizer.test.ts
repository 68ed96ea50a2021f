import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTokenizer, openModel, parseTokenizerJson, type Tokenizer } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findGguf, findPython, skips } from './python.ts';
import { sampleLines, scripts } from './sample-lines.ts';

const python = findPython(['transformers', 'torch', 'gguf']);
const gguf = findGguf();
const otherPreTokenizers = ['llama-bpe', 'qwen2'];

interface Reference {
  readonly ids: number[][];
  readonly chat: [string, string];
  readonly gemma: number[][];
  readonly others: Record<string, number[][]>;
}

test('the sample has a thousand lines in at least ten scripts, digits, code and emoji', () => {
  const text = sampleLines().join('\n');
  expect(sampleLines().length).toBeGreaterThanOrEqual(1000);
  const met = scripts.filter((script) => new RegExp(String.raw`\p{Script=${script}}`, 'u').test(text));
  expect(met).toEqual(scripts);
  expect(text).toMatch(/\w+\(\w+: string\)/);
  expect(text).toMatch(/[٠-٩]/u);
  expect(text).toMatch(/\p{Emoji_Presentation}/u);
});

describe.skipIf(skips('conformance', { python, gguf }))('against transformers', () => {
  let folder: string;
  let lines: string[];
  let reference: Reference;
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-tokenizer-'));
    lines = sampleLines();
    const script = fileURLToPath(new URL('tokenizer.py', import.meta.url));
    const run = spawnSync(python as string, [script, gguf as string, folder, ...otherPreTokenizers], {
      input: JSON.stringify(lines),
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    if (run.status !== 0) throw new Error(run.stderr);
    reference = JSON.parse(run.stdout) as Reference;
    ({ tokenizer } = await openModel(gguf as string, { cacheDir: join(folder, 'cache') }));
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Lines whose ids differ. */
  const differing = (ours: Tokenizer, theirs: number[][]): string[] =>
    lines.filter((line, i) => JSON.stringify(ours.encode(line)) !== JSON.stringify(theirs[i]));

  test('the GGUF gives the same ids for every line', () => {
    expect(differing(tokenizer, reference.ids)).toEqual([]);
  });

  test('ids decode to the line they came from', () => {
    for (const line of lines) expect(tokenizer.decode(tokenizer.encode(line))).toBe(line);
  });

  test('the saved tokenizer.json gives the same ids for every line', async () => {
    const json = parseTokenizerJson(await readFile(join(folder, 'saved', 'tokenizer.json'), 'utf8'));
    expect(
      differing(
        createTokenizer(json, { bosTokenId: 1, eosTokenId: 2, padTokenId: 2, chatTemplate: undefined }),
        reference.ids,
      ),
    ).toEqual([]);
  });

  test("a tokenizer with Gemma's steps gives the same ids for every line, and the lines again from them", async () => {
    const json = parseTokenizerJson(await readFile(join(folder, 'gemma', 'tokenizer.json'), 'utf8'));
    const roles = { bosTokenId: 2, eosTokenId: 1, padTokenId: 0, chatTemplate: undefined };
    const gemma = createTokenizer(json, roles);
    expect(differing(gemma, reference.gemma)).toEqual([]);
    for (const line of lines) expect(gemma.decode(gemma.encode(line))).toBe(line);
  });

  test.each(otherPreTokenizers)(
    'the same vocabulary under the pre-tokenizer %s gives the same ids for every line',
    async (pre) => {
      const model = await openModel(join(folder, `${pre}.gguf`), { cacheDir: join(folder, 'cache') });
      expect(differing(model.tokenizer, reference.others[pre] as number[][])).toEqual([]);
    },
  );

  test('the chat template renders the same text', () => {
    const chat = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ];
    expect(tokenizer.renderChat(chat)).toBe(reference.chat[0]);
    expect(tokenizer.renderChat(chat, { addGenerationPrompt: true })).toBe(reference.chat[1]);
  });
});
