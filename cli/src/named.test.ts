import { describe, expect, it } from 'vitest';
import { findNamed } from './named.ts';
import { formatTable } from './table.ts';

const items = [
  { id: 'r_1f00aa', name: 'languages' },
  { id: 'r_1f00bb', name: 'laws' },
  { id: 'r_2200cc', name: 'laws' },
];
const find = (word: string) => findNamed(items, word, 'WEFT_RUN_UNKNOWN').id;

describe('a word for a run', () => {
  it('is an id, the beginning of one, or a name', () => {
    expect(find('r_1f00aa')).toBe('r_1f00aa');
    expect(find('r_22')).toBe('r_2200cc');
    expect(find('languages')).toBe('r_1f00aa');
  });

  it('is refused where it could be two, or is none', () => {
    expect(() => find('laws')).toThrow('r_1f00bb or r_2200cc');
    expect(() => find('r_1f')).toThrow('r_1f00aa or r_1f00bb');
    expect(() => find('r')).toThrow('there is none');
  });
});

describe('a table', () => {
  it('puts numbers to the right and a dash where nothing is known', () => {
    expect(
      formatTable(
        ['NAME', 'NODES'],
        [
          ['a', 3],
          ['bcdef', null],
        ],
      ),
    ).toBe('NAME   NODES\na          3\nbcdef      –\n');
  });
});
