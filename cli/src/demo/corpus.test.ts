import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  heldOutMessages,
  heldOutShare,
  isHeldOut,
  locales,
  readCorpus,
  readEnglishCorpus,
  trainingMessages,
  writeHeldOutData,
  writeNodeData,
} from './corpus.ts';

const keysOf = (messages: readonly { key: string }[]) => messages.map(({ key }) => key).sort();
const lines = async (file: string) =>
  (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { text: string });

test('the thirteen translations are of one list', () => {
  const list = keysOf(readCorpus('cs'));
  expect(list.length).toBe(2120);
  for (const locale of locales) expect(keysOf(readCorpus(locale))).toEqual(list);
});

test('the English list is the one that was translated', () => {
  const english = new Set(keysOf(readEnglishCorpus()));
  const missing = keysOf(readCorpus('de')).filter((key) => !english.has(key));
  expect(missing.every((key) => key.startsWith('ESM_syntax_is_not_allowed'))).toBe(true); // renamed since the translation
});

test('the held-out messages are the same in every language, about a tenth', () => {
  const heldOut = keysOf(heldOutMessages('cs'));
  for (const locale of locales) expect(keysOf(heldOutMessages(locale))).toEqual(heldOut);
  expect(Math.abs(heldOut.length / 2120 - heldOutShare)).toBeLessThan(0.02);
});

test('no held-out message is in a training text of any language, under its own key or another', () => {
  const heldOut = new Set(locales.flatMap((locale) => heldOutMessages(locale).map(({ text }) => text)));
  for (const locale of locales) {
    expect(trainingMessages(locale).filter(({ key, text }) => isHeldOut(key) || heldOut.has(text))).toEqual([]);
    expect(trainingMessages(locale).length).toBeGreaterThan(1800);
  }
});

test("a node's file holds the training messages and the public file the held-out ones", async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weft-corpus-'));
  try {
    const data = await writeNodeData(dir, 'tr');
    const heldOut = await writeHeldOutData(dir, 'tr');
    const trained = (await lines(data.file)).map(({ text }) => text);
    const scored = (await lines(heldOut.file)).map(({ text }) => text);
    expect(trained).toEqual(trainingMessages('tr').map(({ text }) => text));
    expect(scored).toEqual(heldOutMessages('tr').map(({ text }) => text));
    expect(trained.filter((text) => scored.includes(text))).toEqual([]);
    expect([data.examples, heldOut.examples]).toEqual([trained.length, scored.length]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
