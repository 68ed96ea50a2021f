import { readFileSync } from 'node:fs';
import { catalogue } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { errorTable, tableFile, usedCodes } from './error-table.ts';

describe('the error catalogue', () => {
  it('is the table of docs/errors.md (after a change: pnpm docs:errors)', () => {
    expect(readFileSync(tableFile, 'utf8')).toBe(errorTable());
  });

  it('has no row that nothing throws', () => {
    const used = usedCodes();
    // thrown by main for whatever has no row, and named by the entry before anything can be imported
    expect(Object.keys(catalogue).filter((code) => !used.has(code))).toEqual([]);
  });

  it('says what to do in one line', () => {
    for (const [code, { todo }] of Object.entries(catalogue)) {
      expect(todo, code).toMatch(/^[^\n]{5,}[^.\n]$/);
    }
  });
});
