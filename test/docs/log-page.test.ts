import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { logPage, pageFile } from './log-page.ts';

test('the page of the log shows each leaf as it is written', () => {
  const page = readFileSync(pageFile, 'utf8');
  expect(page).toContain('**result** (type 7)');
  expect(logPage(page)).toBe(page);
});
