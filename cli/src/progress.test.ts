import { describe, expect, it } from 'vitest';
import { createProgress } from './progress.ts';

const recorder = (isTTY: boolean) => {
  const written: string[] = [];
  return { isTTY, columns: 60, write: (text: string) => written.push(text), text: () => written.join('') };
};

describe('progress', () => {
  it('prints a plain line each tenth where there is no terminal', () => {
    const stream = recorder(false);
    const progress = createProgress(stream);
    const bar = progress.bar('train', 100);
    for (let step = 1; step <= 100; step += 1) bar.update(step, `loss ${step}`);
    bar.finish();
    progress.close();
    const lines = stream.text().trimEnd().split('\n');
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('train 1/100 loss 1');
    expect(lines.at(-1)).toBe('train 100/100 loss 100');
    expect(stream.text()).not.toContain('\u001B');
  });

  it('says the last line once, with the note of the end', () => {
    const stream = recorder(false);
    const bar = createProgress(stream).bar('node', 4);
    bar.update(1);
    bar.finish('done');
    bar.finish('done');
    expect(stream.text()).toBe('node 1/4\nnode 4/4 done\n');
  });

  it('draws several bars over each other on a terminal', () => {
    const stream = recorder(true);
    const progress = createProgress(stream, () => 0);
    progress.bar('round', 4).finish();
    progress.bar('node-a', 10).finish('loss 2.5');
    const last = stream.text().split('\u001B[2A\u001B[0J').at(-1) ?? '';
    expect(last.split('\n')).toHaveLength(3);
    expect(last).toContain('round ');
    expect(last).toContain('node-a');
    expect(last).toContain('10/10  loss 2.5');
  });

  it('redraws at most ten times a second between events', () => {
    const stream = recorder(true);
    let nowMs = 0;
    const bar = createProgress(stream, () => nowMs).bar('train', 1000);
    for (let step = 0; step < 1000; step += 1) {
      nowMs += 1;
      bar.update(step);
    }
    expect(stream.text().split('\u001B[1A').length - 1).toBeLessThanOrEqual(10);
  });

  it('never wraps a line, since a wrapped one could not be drawn over', () => {
    const stream = { ...recorder(true), columns: 40 };
    const written: string[] = [];
    stream.write = (text: string) => written.push(text);
    createProgress(stream, () => 0)
      .bar('train', 10)
      .finish('a note that is much longer than the terminal is wide');
    const esc = String.fromCharCode(27);
    const visible = (written.at(-1) ?? '')
      .replaceAll(new RegExp(`${esc}\\[[0-9;]*[A-Za-z]`, 'g'), '')
      .replaceAll('\n', '');
    expect(visible.length).toBeLessThanOrEqual(40);
  });
});
