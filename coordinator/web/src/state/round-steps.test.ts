import { describe, expect, it } from 'vitest';
import { roundSteps } from './round-steps.ts';

const states = (run: Parameters<typeof roundSteps>[0]): string[] => roundSteps(run, 'plain').map(({ state }) => state);

describe('roundSteps', () => {
  it('puts what is before the phase behind and what is after it ahead', () => {
    expect(states({ state: 'running', phase: 'collecting', roundsDone: [] })).toEqual([
      'done',
      'done',
      'current',
      'ahead',
      'ahead',
    ]);
  });

  it('shows the steps of secure aggregation where there are some', () => {
    const steps = roundSteps({ state: 'running', phase: 'unmasking', roundsDone: [] }, 'secure');
    expect(steps.filter(({ state }) => state === 'done').map(({ phase }) => phase)).toEqual([
      'waiting',
      'training',
      'keys',
      'shares',
      'collecting',
    ]);
  });

  it('has everything ahead of a new run and behind a finished one', () => {
    expect(states({ state: 'created', phase: 'waiting', roundsDone: [] })).toEqual(Array(5).fill('ahead'));
    expect(states({ state: 'finished', phase: 'finished', roundsDone: [] })).toEqual(Array(5).fill('done'));
  });

  it('shows no step as current in a run that was stopped', () => {
    expect(states({ state: 'stopped', phase: 'aborted', roundsDone: [] })).not.toContain('current');
  });
});
