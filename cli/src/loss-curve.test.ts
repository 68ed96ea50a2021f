import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lossCurve } from './loss-curve.ts';

const pointsOf = (svg: string): (readonly [x: number, y: number])[] =>
  (/points="([^"]*)"/.exec(svg)?.[1] ?? '').split(' ').map((pair) => {
    const [x = Number.NaN, y = Number.NaN] = pair.split(',').map(Number);
    return [x, y] as const;
  });

describe('the loss curve', () => {
  it('draws a falling loss from left to right and downwards, and says so in words', () => {
    const svg = lossCurve([3, 2, 1.5], 'notes & <co>');
    expect(svg).toContain('<title id="title">Training loss of notes &amp; &lt;co&gt;</title>');
    expect(svg).toContain('<desc id="desc">From 3.0000 at step 1 to 1.5000 at step 3, lowest 1.5000.</desc>');
    expect(svg).toContain('>step</text>');
    expect(svg).toContain('>loss (nats a token)</text>');
    const [[x1, y1] = [], [x2, y2] = [], [x3, y3] = []] = pointsOf(svg);
    expect([x1, x2, x3]).toEqual([70, 425, 780]);
    expect(y1).toBeLessThan(y2 ?? 0); // SVG counts downwards
    expect(y2).toBeLessThan(y3 ?? 0);
    expect(svg).toMatch(/>1\.5<.*>2\.0<.*>2\.5<.*>3\.0</s);
  });

  it('draws the validation as a second curve, from before the first step on, within the same axes', () => {
    const scores = [
      { step: 0, loss: 4 },
      { step: 2, loss: 1 },
    ];
    const svg = lossCurve([3, 2, 1.5], 'x', scores);
    expect(svg).toContain('Validation from 4.0000 after step 0 to 1.0000 after step 2.');
    expect(svg).toContain('validation (dashed)');
    const [training = '', validation = ''] = [...svg.matchAll(/points="([^"]*)"/g)].map(([, points]) => points);
    expect([training.split(' ').length, validation.split(' ').length]).toEqual([3, 2]);
    expect(validation.startsWith('70.0,')).toBe(true);
    const [top = 0, bottom = 0] = validation.split(' ').map((pair) => Number(pair.split(',')[1]));
    expect(top).toBeGreaterThan(50);
    expect(bottom).toBeLessThan(390);
    expect(lossCurve([3, 2, 1.5], 'x')).not.toContain('validation');
  });

  it('stays inside its axes, and small, whatever the losses are', () => {
    const losses = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 3000 });
    fc.assert(
      fc.property(losses, (given) => {
        const svg = lossCurve(given, 'x');
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
        expect(svg.length).toBeLessThan(20_000);
        for (const [x, y] of pointsOf(svg)) {
          expect(x >= 70 && x <= 780 && y >= 49.9 && y <= 390.1, `${x},${y}`).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });
});
