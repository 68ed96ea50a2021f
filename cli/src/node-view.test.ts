import { expect, test } from 'vitest';
import type { NodeEvent } from '@weft/node-agent';
import { createNodeView } from './node-view.ts';
import { createProgress } from './progress.ts';

const shown = (...events: NodeEvent[]): string => {
  let text = '';
  const show = createNodeView(createProgress({ write: (piece) => (text += piece) }));
  for (const event of events) show(event);
  return text;
};

const round = { runId: 'r_1', round: 0 };

test('an operator reads who can see the delta before anything else happens', () => {
  const notice = 'the coordinator can read each delta';
  const text = shown({
    event: 'started',
    nodeId: 'n_1',
    nodeName: 'archive',
    federationId: 'f_1',
    federationName: 'north',
    address: 'a:1',
    records: 12,
    notice,
  });
  expect(text).toContain('node archive (n_1) of federation north; 12 records');
  expect(text).toContain(notice);
});

test('rounds count from one, and training is a line each tenth where there is no terminal', () => {
  const steps = Array.from({ length: 100 }, (_, i): NodeEvent => ({
    event: 'training',
    ...round,
    done: i + 1,
    total: 100,
    loss: 2,
    tokensPerSecond: 50,
  }));
  const lines = shown(...steps)
    .trimEnd()
    .split('\n');
  expect(lines.length).toBeLessThanOrEqual(11);
  expect(lines.at(-1)).toContain('round 1 training 100/100');
});

test('a fault is a code and what to do', () => {
  const text = shown({ event: 'declined', ...round, code: 'WEFT_DATA_TOO_SHORT', todo: 'add text', numbers: {} });
  expect(text).toBe('round 1 declined [WEFT_DATA_TOO_SHORT]: add text\n');
});
