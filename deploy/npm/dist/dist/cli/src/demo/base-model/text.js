import { createHash } from 'node:crypto';
import { locales, readEnglishCorpus, trainingMessages, withoutHeldOut,             } from '../corpus.js';
import { demoLocales } from '../recipe.js';
import { documentSources, readParagraphs } from './documents.js';

/**
 * Languages that the base model learns: none of the demo's, and none so near to one of them that it would know that
 * language through its sister.
 */
const nearSiblings                    = ['cs'];
export const baseLocales                    = locales.filter((locale) => !demoLocales.some((demo) => demo === locale) && !nearSiblings.includes(locale));

                           
                                                           
                        
                                    
 

/** All that the base model and its tokenizer are trained on: messages without the held-out ones, and English prose. */
export function readBaseText()             {
  return [
    { name: 'en', texts: withoutHeldOut(readEnglishCorpus()).map(({ text }) => text) },
    ...baseLocales.map((locale) => ({ name: locale, texts: trainingMessages(locale).map(({ text }) => text) })),
    ...documentSources.map((source) => ({ name: source.package, texts: readParagraphs(source) })),
  ];
}

/** Tells whether another machine, with other versions of the packages, trains on the same text. */
export function hashText(parts                     )         {
  const hash = createHash('sha256');
  for (const { name, texts } of parts) for (const text of texts) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex');
}
