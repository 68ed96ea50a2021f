import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openModel } from '@weft/trainer';
import { expect, test } from 'vitest';
import { architecture, baseModelName } from './base-model/recipe.ts';
import { baseLocales, hashText, readBaseText } from './base-model/text.ts';
import { bundledModelFolder } from './bundled-model.ts';
import { heldOutMessages, locales, readCorpus } from './corpus.ts';
import { demoLocales } from './recipe.ts';

const sizeLimitBytes = 8_000_000;

test('the bundled model opens, in the shape of its recipe', async () => {
  const model = await openModel(bundledModelFolder);
  expect(model.name).toBe(baseModelName);
  expect(model.config).toEqual(architecture);
  expect(model.tokenizer.vocabSize).toBe(architecture.vocabSize);
  expect(model.tokenizer.eosTokenId).toBe(0);
});

test('the bundled model, its tokenizer and its card are at most 8 MB', async () => {
  const files = await readdir(bundledModelFolder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(bundledModelFolder, file))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(sizeLimitBytes);
});

test('the model card names the hash of the model beside it and of the text it was trained on', async () => {
  const card = await readFile(join(bundledModelFolder, 'README.md'), 'utf8');
  expect(card).toContain((await openModel(bundledModelFolder)).sha256);
  expect(card).toContain(hashText(readBaseText()));
});

test("the base model's text holds no message of the demo's languages and no held-out message", () => {
  const texts = new Set(readBaseText().flatMap((part) => part.texts));
  const heldOut = locales.flatMap((locale) => heldOutMessages(locale).map(({ text }) => text));
  expect(heldOut.filter((text) => texts.has(text))).toEqual([]);
  expect(demoLocales.filter((locale) => baseLocales.some((known) => known === locale))).toEqual([]);
  for (const locale of demoLocales) {
    const shared = readCorpus(locale).filter(({ text }) => texts.has(text));
    expect(shared.length, `${locale}: ${shared.map(({ text }) => text).join(' | ')}`).toBeLessThan(5); // left untranslated
  }
});

test('the tokenizer brings back every held-out message, in languages that it has not seen too', async () => {
  const { tokenizer } = await openModel(bundledModelFolder);
  for (const locale of locales) {
    for (const { text } of heldOutMessages(locale)) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
});
