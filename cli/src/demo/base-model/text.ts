import { createHash } from 'node:crypto';
import { locales, readEnglishCorpus, trainingMessages, withoutHeldOut, type Locale } from '../corpus.ts';
import { demoLocales } from '../recipe.ts';
import { documentSources, readParagraphs } from './documents.ts';

/**
 * Languages that the base model learns: none of the demo's, and none so near to one of them that it would know that
 * language through its sister.
 */
const nearSiblings: readonly Locale[] = ['cs'];
export const baseLocales: readonly Locale[] = locales.filter(
  (locale) => !demoLocales.some((demo) => demo === locale) && !nearSiblings.includes(locale),
);

export interface TextPart {
  /** `de`, or the package that the documents belong to. */
  readonly name: string;
  readonly texts: readonly string[];
}

/** All that the base model and its tokenizer are trained on: messages without the held-out ones, and English prose. */
export function readBaseText(): TextPart[] {
  return [
    { name: 'en', texts: withoutHeldOut(readEnglishCorpus()).map(({ text }) => text) },
    ...baseLocales.map((locale) => ({ name: locale, texts: trainingMessages(locale).map(({ text }) => text) })),
    ...documentSources.map((source) => ({ name: source.package, texts: readParagraphs(source) })),
  ];
}

/** Tells whether another machine, with other versions of the packages, trains on the same text. */
export function hashText(parts: readonly TextPart[]): string {
  const hash = createHash('sha256');
  for (const { name, texts } of parts) for (const text of texts) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex');
}
