import { describe, expect, it } from 'vitest';
import { reachedBy } from './coalition.ts';
import { nodeChecks } from '../../src/secagg/node-checks.ts';
import { type CheckName, rehearse, strategies } from './strategies.ts';

describe('a coordinator that lies', () => {
  it('knows at least thirty ways', () => {
    expect(new Set(strategies.map(({ name }) => name)).size).toBeGreaterThanOrEqual(30);
  });

  it('is met at every check of the table', () => {
    const names = Object.values(nodeChecks).flatMap((group) => Object.keys(group));
    const met = new Set(strategies.map(({ stoppedBy }) => stoppedBy));
    expect(names.filter((name) => !met.has(name as CheckName))).toEqual([]);
  });

  it.each(strategies)('gains nothing by $name', (strategy) => {
    const rehearsal = rehearse(strategy);
    const { colluders = [] } = strategy;
    const outcome = rehearsal.outcome();
    if (outcome?.kind === 'finished') expect(rehearsal.sum).toEqual(rehearsal.exactSum(outcome.summed));
    if (outcome?.kind === 'aborted') {
      const honest = rehearsal.nodes.map((_, node) => node).filter((node) => !colluders.includes(node));
      const ids = new Set(outcome.blamed.map(({ nodeId }) => nodeId));
      expect(honest.filter((node) => ids.has(rehearsal.idOf(node)))).toEqual([]);
    }
    expect(reachedBy(rehearsal, colluders).both).toEqual([]);
    if (strategy.stoppedBy) {
      const reasons = rehearsal.nodes.flatMap(({ effects }) =>
        effects.flatMap((effect) => (effect.kind === 'aborted' ? [effect.reason] : [])),
      );
      expect(reasons.some((reason) => reason.startsWith(strategy.stoppedBy!))).toBe(true);
    }
  });
});
