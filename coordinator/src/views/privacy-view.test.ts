import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { costOfUpdate, createAdapterLayout, factorSize, parseRunSpec, privacy, updateEncoding } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecureRun } from '../round/secure-simulation.ts';
import { loopbackModel } from '../runs/loopback-node.ts';
import { openStore, type Store } from '../store/store.ts';
import { privacyView } from './privacy-view.ts';
import { createRunViews } from './run-views.ts';

let home: string;
let store: Store;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-privacy-'));
  store = openStore(home);
});
afterEach(async () => {
  store.close();
  await rm(home, { recursive: true });
});

test('a sum that was refused once it was open costs what a committed one does, and the round is done once more', () => {
  const run = new SecureRun();
  const runId = store.append(run.created).runId!;
  const views = createRunViews(store);
  // The session is the same with noise in the spec.
  const { spec: plain } = run.state;
  const noise = {
    ...plain,
    privacy: { noiseMultiplier: 1 },
    aggregation: { ...plain.aggregation, weighting: 'uniform' },
  };
  const spec = parseRunSpec(noise);
  const layout = createAdapterLayout(loopbackModel.dimensions, spec.adapter);
  let stored = 0;
  const shown = () => {
    for (; stored < run.events.length; stored++) store.append(run.events[stored]!);
    const detail = { ...views.detail(runId), spec };
    return { rounds: detail.roundsDone, ...privacyView(detail, layout)! };
  };
  const epsilonOf = (...factors: readonly ('A' | 'B')[]): number =>
    privacy.epsilonSpent(
      factors
        .map((factor) => costOfUpdate(updateEncoding(spec, factorSize(layout, factor), spec.aggregation.clipNormL2))!)
        .reduce(privacy.addSpending, privacy.nothingSpent()),
      spec.privacy!.delta,
    ).epsilon;

  run.sumsToRefuse = 1;
  run.runUntil(() => run.events.some(({ data }) => 'kind' in data && data.kind === 'cutAck'));
  expect(shown()).toMatchObject({ epsilonSpent: 0, epsilonPlanned: epsilonOf('B', 'A') });
  // From the first opening on, and counted once while its round goes on.
  run.runUntil(() => run.events.some(({ data }) => 'kind' in data && data.kind === 'opening'));
  expect(shown()).toMatchObject({ epsilonSpent: epsilonOf('B'), epsilonPlanned: epsilonOf('B', 'A') });
  run.runUntil(() => run.events.some(({ kind }) => kind === 'round.aborted'));
  expect(shown()).toMatchObject({ epsilonSpent: epsilonOf('B'), epsilonPlanned: epsilonOf('B', 'B', 'A') });
  run.runUntil(() => false);
  const { rounds, epsilonSpent, epsilonPlanned, byRound } = shown();
  expect(rounds.map(({ released, adapterAfter }) => [released, adapterAfter !== null])).toEqual([
    [true, false],
    [true, true],
    [true, true],
  ]);
  // The simulated sums adapt the clip norm, which rounding makes felt in the ninth digit.
  expect(epsilonSpent).toBeCloseTo(epsilonOf('B', 'B', 'A'), 6);
  expect(epsilonPlanned).toBe(epsilonSpent);
  expect(byRound.map(({ round }) => round)).toEqual([0, 1, 2]);
});
