import type { LiveProgress, RoundNodeView } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { nodeProgress } from './node-progress.ts';

const stored = (stage: RoundNodeView['stage']): RoundNodeView => ({
  nodeId: 'n_1',
  stage,
  membership: 'none',
  bytesUp: 0,
  vouchedBy: null,
  bytesDown: 0,
  trainingMs: null,
  heldOutLoss: null,
  reason: null,
});
const heard = (stage: LiveProgress['stage'], round = 2): LiveProgress => ({
  runId: 'r_1',
  round,
  nodeId: 'n_1',
  stage,
  done: 5,
  total: 20,
  tokensPerSecond: 900,
});

describe('nodeProgress', () => {
  it('takes the finer word of the node while it is ahead', () => {
    expect(nodeProgress(stored('offered'), 2, heard('training'))).toMatchObject({ stage: 'training', fraction: 0.25 });
  });

  it('does not go back to what the node said before', () => {
    expect(nodeProgress(stored('ready'), 2, heard('training'))).toMatchObject({ stage: 'ready', fraction: undefined });
    expect(nodeProgress(stored('left'), 2, heard('uploading')).stage).toBe('left');
    expect(nodeProgress(stored('offered'), 3, heard('training')).stage).toBe('offered');
  });

  it('is full for an accepted update and never above full', () => {
    expect(nodeProgress(stored('accepted'), 2, undefined).fraction).toBe(1);
    expect(nodeProgress(stored('offered'), 2, { ...heard('training'), done: 30 }).fraction).toBe(1);
  });
});
