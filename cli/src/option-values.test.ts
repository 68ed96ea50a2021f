import { describe, expect, it } from 'vitest';
import { nonNegative, targetList, wholeNumber } from './option-values.ts';

describe('option values', () => {
  it('takes whole numbers within the limits only', () => {
    expect(wholeNumber(1, 256)('8')).toBe(8);
    for (const text of ['0', '257', '8.5', '-1', '', '1e2', 'eight']) {
      expect(() => wholeNumber(1, 256)(text), text).toThrow('from 1 to 256');
    }
  });

  it('takes finite numbers only', () => {
    expect(nonNegative()('1e-4')).toBe(1e-4);
    for (const text of ['', 'NaN', 'Infinity', '-1', '1e999'])
      expect(() => nonNegative()(text), text).toThrow('0 or more');
    expect(() => nonNegative({ positive: true })('0')).toThrow('above 0');
  });

  it('orders targets as the layout does and names the wrong ones', () => {
    expect(targetList('v_proj, q_proj,v_proj')).toEqual(['q_proj', 'v_proj']);
    expect(() => targetList('q_proj,qproj,x')).toThrow('qproj, x: choose from q_proj');
  });
});
