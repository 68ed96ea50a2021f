import { readFileSync } from 'node:fs';
import { secagg } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { checksByStep, pageFile, secaggPage } from './secagg-page.ts';

const page = readFileSync(pageFile, 'utf8');

describe('docs/secagg-wire.md', () => {
  it('has the layouts and the checks of the code (after a change: pnpm docs:secagg)', () => {
    expect(page).toBe(secaggPage(page));
  });

  it('begins every body with the same header', () => {
    const header = ['version', 'type', 'roundId', 'sessionId', 'index'];
    for (const [name, { layout }] of Object.entries(secagg.bodies))
      expect(Object.keys(layout.fields).slice(0, header.length), name).toEqual(header);
  });

  it('tells in words what every check holds', () => {
    for (const checks of checksByStep().values())
      for (const [check, words] of checks) expect(words, check).toMatch(/^\S[^\n]{10,}[^.\n]$/);
  });

  it('says of every body who sends it', () => {
    const steps = page.slice(page.indexOf('## One session'));
    for (const name of Object.keys(secagg.bodies))
      expect(steps, name).toMatch(new RegExp(`\\| ([a-zA-Z]+, )?${name}\\b`));
  });
});
