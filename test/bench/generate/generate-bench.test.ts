import { describe, expect, it } from 'vitest';
import { tableOf } from '../table.ts';
import { type Generated, generatingFigures, generatingRows, type GenerateRun } from './generate-bench.ts';

const generated = (subject: string, promptMs: number[], makingMs: number[]): Generated => ({
  subject,
  startMs: 500,
  promptMs,
  makingMs,
  residentBytes: 3e8,
});
const run = (...measured: Generated[]): GenerateRun => ({ measured, skipped: [], load: [0, 1] });
const ours = generated('weft', [100, 200, 400], [630, 630, 1260]);

describe('the figures of the generating benchmark', () => {
  it('are ratios of rates, of medians and of bests', () => {
    const both = run(ours, generated('llama.cpp', [300, 300, 300], [504, 504, 504]));
    const [made, prompt] = generatingFigures(both);
    expect(made).toMatchObject({ value: 0.8, best: 0.8, verdict: 'reached; aim missed by 20 %' });
    expect(prompt).toMatchObject({ value: 1.5, best: 3, verdict: 'aim reached' });
    expect(generatingRows(both)[1]).toEqual(['weft', '100.0', '100.0', '640', '1280', '0.50', '300']);
  });

  it('are marked where the peer was left out', () => {
    expect(tableOf(generatingFigures(run(ours)))).toMatch(/generated tokens\/s ÷ llama.cpp .* not measured/);
  });
});
