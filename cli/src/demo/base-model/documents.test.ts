import { expect, test } from 'vitest';
import { describeSource, documentSources, readParagraphs, toParagraphs } from './documents.ts';

test('a paragraph is one line of prose, without code, tables, headings, markup and link targets', () => {
  const markdown = [
    '# A heading that is long enough to be taken for a paragraph',
    '',
    'The **first** paragraph has a [link](https://example.org/a) and',
    'goes on in a second line of the same paragraph.',
    '',
    '```js\nconst code = "long enough to be taken for a paragraph of prose";\n```',
    '',
    '| a table | that is long enough to be taken for a paragraph |',
    '',
    '- A list item that is long enough to be kept as a paragraph.',
    '- short',
    '',
    '<p>Markup that stands in a block of its own, long enough as well</p>',
  ].join('\n');
  expect(toParagraphs(markdown)).toEqual([
    'The first paragraph has a link and goes on in a second line of the same paragraph.',
    'A list item that is long enough to be kept as a paragraph.',
  ]);
});

test('every source is installed under the licence that the list names, and has prose', () => {
  for (const source of documentSources) {
    expect(describeSource(source).licence).toBe(source.licence);
    expect(readParagraphs(source).length, source.package).toBeGreaterThan(0);
  }
});
