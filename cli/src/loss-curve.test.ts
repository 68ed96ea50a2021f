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
