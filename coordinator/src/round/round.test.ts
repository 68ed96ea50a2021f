import { isKeptByGate, type NodeId, type RoundPhase } from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RunEvent } from './evolve.ts';
import { evolve, initialState } from './evolve.ts';
import { simulate, simulatedNodes, type Simulation, simulatedValues } from './simulation.ts';
import { defaultTiming, hasEnded, type RunState } from './state.ts';

const [a, b, c, d] = simulatedNodes as [never, never, never, never];
const phasesOf = (simulation: Simulation): RoundPhase[] =>
  simulation.events.flatMap((event) => (event.kind === 'round.phase' ? [event.data.phase] : []));
const kinds = (simulation: Simulation): string[] => simulation.events.map(({ kind }) => kind);
const begin = (spec: Parameters<typeof simulate>[0], nodes = [a, b, c]): Simulation => {
  const simulation = simulate(spec);
  for (const nodeId of nodes) simulation.apply({ kind: 'connected', nodeId });
  simulation.apply({ kind: 'start' });
  simulation.wait(defaultTiming.settleMs);
  return simulation;
};

/** Two nodes of one, two of another, and one that nobody signed for. */
const threeOrganisations = (nodeId: NodeId): string | undefined =>
  ['a', 'a', 'b', 'b'][simulatedNodes.indexOf(nodeId)]?.repeat(64);

describe('a round', () => {
  test('a node that left and comes back finds its place only while there is one', () => {
    const run = begin({ rounds: 1, minimum: 1, maximum: 2 }, [a, b]);
    run.apply({ kind: 'disconnected', nodeId: b });
    run.wait(defaultTiming.leaseMs - defaultTiming.settleMs - 1);
    run.apply({ kind: 'heard', nodeId: a });
    run.wait(1);
    expect(run.state.participants.get(b)?.stage).toBe('left');
    run.apply({ kind: 'connected', nodeId: c });
    run.apply({ kind: 'connected', nodeId: b });
    expect(run.ready(b)).toBe('WEFT_UPDATE_NOT_EXPECTED');
    run.ready(a);
    run.ready(c);
    expect(run.state.cohort).toEqual([a, c]);
  });

  test('takes no more members of one organisation than the cap says; the others hear that they are left out', () => {
    const run = begin({ rounds: 1, minimum: 2, perOrganisation: 1, organisationOf: threeOrganisations }, [a, b, c, d]);
    for (const nodeId of [a, b, c, d]) run.ready(nodeId);
    const { cohort } = run.state;
    expect(run.state.phase).toBe('collecting');
    expect(cohort).toEqual([
      [a, b].find((nodeId) => cohort.includes(nodeId)),
      [c, d].find((nodeId) => cohort.includes(nodeId)),
    ]);
    const others = [a, b, c, d].filter((nodeId) => !cohort.includes(nodeId));
    expect(run.effects).toContainEqual(
      expect.objectContaining({ kind: 'announceCohort', to: [...cohort, ...others], nodeIds: cohort }),
    );
    expect(others.map((nodeId) => run.upload(nodeId))).toEqual(Array(2).fill('WEFT_UPDATE_NOT_EXPECTED'));
    expect(others.map((nodeId) => run.ready(nodeId))).toEqual(Array(2).fill('WEFT_UPDATE_NOT_EXPECTED'));
    // Their silence holds nobody up, and nothing waits for them.
    run.wait(defaultTiming.leaseMs / 2);
    for (const nodeId of cohort) run.apply({ kind: 'heard', nodeId });
    run.wait(defaultTiming.leaseMs / 2 + 1);
    expect(run.state.phase).toBe('collecting');
    for (const nodeId of cohort) run.upload(nodeId);
    expect(run.state.phase).toBe('committing');
  });

  test('draws whom the cap leaves out, so that nobody is left out for ever', () => {
    const run = begin({ rounds: 40, minimum: 1, perOrganisation: 1, organisationOf: () => 'a'.repeat(64) }, [a, b, c]);
    run.finish();
    const fixed = run.events.flatMap((event) => (event.kind === 'cohort.fixed' ? event.data.nodeIds : []));
    expect(fixed).toHaveLength(40);
    expect(new Set(fixed).size).toBe(simulatedNodes.length);
  });

  test('waits at the quorum while the cap lets too few in, and is given up as for too few, with the numbers', () => {
    const settings = { rounds: 1, minimum: 2, perOrganisation: 1, quorum: 0.5, deadlineSeconds: 20 };
    const run = begin({ ...settings, organisationOf: threeOrganisations }, [a, b, c]);
    run.ready(a);
    run.ready(b);
    run.wait(19_999);
    expect(run.state.phase).toBe('training');
    run.wait(1);
    expect(run.events.at(-2)).toMatchObject({
      kind: 'round.aborted',
      data: {
        reason: {
          code: 'WEFT_ROUND_TOO_FEW_READY',
          message:
            '2 of 3 nodes were ready at the deadline of round 1, cohort.perOrganisation is 1 and lets 1 of the 2 ready ones in, the cohort needs 2',
        },
      },
    });
    const again = begin({ ...settings, organisationOf: threeOrganisations }, [a, b, c]);
    for (const nodeId of [a, b, c]) again.ready(nodeId);
    expect(again.state.phase).toBe('collecting');
    expect(again.state.cohort).toHaveLength(2);
  });

  test('goes from waiting to committing by itself, and the run to finished', () => {
    const run = begin({ rounds: 1, minimum: 2 });
    expect(run.state.phase).toBe('training');
    for (const nodeId of [a, b]) run.evaluate(nodeId);
    for (const nodeId of [a, b, c]) run.ready(nodeId);
    expect(run.state.phase).toBe('collecting');
    for (const nodeId of [a, b, c]) run.upload(nodeId);
    expect(run.state.phase).toBe('committing');
    run.aggregate();
    expect(run.state.phase).toBe('evaluating');
    // who let no loss leave before is not asked for the last one
    const asked = run.effects.flatMap((effect) =>
      effect.kind === 'offer' && effect.work === 'evaluate' ? [effect.nodeId] : [],
    );
    expect(asked).toEqual([a, b]);
    for (const nodeId of asked) run.evaluate(nodeId);
    expect(run.state).toMatchObject({ phase: 'finished', lifecycle: 'finished', committedRounds: 1 });
    expect(phasesOf(run)).toEqual(['training', 'collecting', 'committing', 'evaluating']);
    expect(run.effects.filter(({ kind }) => kind === 'announceEnd')).toHaveLength(1);
  });

  test('waits for the minimum, then a little for more, and takes no more than the maximum', () => {
    const run = simulate({ rounds: 1, minimum: 2, maximum: 3 });
    run.apply({ kind: 'start' });
    run.apply({ kind: 'connected', nodeId: a });
    run.wait(60_000);
    expect(run.state.phase).toBe('waiting');
    run.apply({ kind: 'connected', nodeId: b });
    expect(run.state.phase).toBe('waiting');
    run.apply({ kind: 'connected', nodeId: c });
    expect(run.state.phase).toBe('training');
    run.apply({ kind: 'connected', nodeId: d });
    expect(run.state.participants.size).toBe(3);
  });

  test('starts without the slow ones once the quorum is ready at the adaptive deadline', () => {
    const run = begin({ rounds: 2, minimum: 1, quorum: 0.6, deadlineSeconds: 3600 });
    run.wait(20_000);
    for (const nodeId of [a, b, c]) {
      run.apply({ kind: 'heard', nodeId });
      run.ready(nodeId);
      expect(run.state.phase).toBe(nodeId === c ? 'collecting' : 'training');
    }
    for (const nodeId of [a, b, c]) run.upload(nodeId);
    run.aggregate();
    expect(run.state.quorumDeadlineAt - run.state.startedAt).toBe(40_000);
    run.ready(a);
    run.ready(b);
    for (let i = 0; i < 4; i++) {
      expect(run.state.phase).toBe('training');
      run.wait(10_000);
      for (const nodeId of [a, b, c]) run.apply({ kind: 'heard', nodeId });
    }
    expect(run.state.phase).toBe('collecting');
    expect(run.state.cohort).toEqual([a, b]);
    expect(run.ready(c)).toBe('WEFT_UPDATE_NOT_EXPECTED');
    expect(run.upload(c)).toBe('WEFT_UPDATE_NOT_EXPECTED');
  });

  test('a node that is silent for a lease has left; one that reports goes on as long as it needs', () => {
    const run = begin({ rounds: 1, minimum: 2 });
    for (let i = 0; i < 20; i++) {
      run.wait(10_000);
      for (const nodeId of [a, b]) run.apply({ kind: 'heard', nodeId });
    }
    expect(run.state.participants.get(c)?.stage).toBe('left');
    expect(run.state.participants.get(a)?.stage).toBe('offered');
    run.ready(a);
    run.ready(b);
    expect(run.state.cohort).toEqual([a, b]);
  });

  test('with too few nodes left it is aborted, and the next try starts by itself with the same factor', () => {
    const run = begin({ rounds: 1, minimum: 3 });
    run.apply({ kind: 'declined', nodeId: a, round: 0, reason: { code: 'WEFT_DATA_EMPTY', message: 'no data' } });
    expect(kinds(run)).toContain('round.aborted');
    expect(run.state.phase).toBe('waiting');
    run.wait(defaultTiming.retryMs);
    expect(run.state).toMatchObject({ phase: 'training', round: 1, factor: 'B' });
    expect(run.ready(b, 'first', 0)).toBe('WEFT_UPDATE_WRONG_ROUND');
  });

  test('started again with a clock that was set back by a day, it neither waits a day for the next try nor in it', () => {
    const dayMs = 24 * 3600 * 1000;
    const run = begin({ rounds: 1, minimum: 3 });
    run.apply({ kind: 'declined', nodeId: a, round: 0, reason: { code: 'WEFT_DATA_EMPTY', message: 'no data' } });
    const connect = (): void => {
      for (const nodeId of [a, b, c]) run.apply({ kind: 'connected', nodeId });
    };
    run.restart(replay, -dayMs);
    connect();
    run.wait(defaultTiming.retryMs);
    expect(run.state).toMatchObject({ phase: 'training', round: 1 });
    run.restart(replay, -dayMs);
    const { deadlineAt } = run.state;
    expect(deadlineAt - run.now).toBeLessThanOrEqual(run.state.spec.cohort.deadlineSeconds * 1000);
  });

  test('a member that is lost before its upload leaves the others to commit', () => {
    const run = begin({ rounds: 1, minimum: 2 });
    for (const nodeId of [a, b, c]) run.ready(nodeId);
    run.upload(a);
    run.upload(b);
    run.apply({ kind: 'disconnected', nodeId: c });
    run.wait(defaultTiming.leaseMs);
    expect(run.state.phase).toBe('committing');
    run.aggregate();
    expect(run.events.find(({ kind }) => kind === 'round.committed')?.data).toMatchObject({
      nodeIds: [a, b],
      weightSum: 2,
    });
  });

  test('the same update counts once, another one of the same node is refused', () => {
    const run = begin({ rounds: 1, minimum: 2 });
    for (const nodeId of [a, b, c]) run.ready(nodeId);
    expect(run.upload(a)).toBeUndefined();
    expect(run.upload(a)).toBeUndefined();
    expect(run.upload(a, 'other')).toBe('WEFT_UPDATE_DUPLICATE');
    expect(run.upload(b, 'other')).toBe('WEFT_UPDATE_NOT_EXPECTED');
    expect(run.upload(d)).toBe('WEFT_UPDATE_NOT_EXPECTED');
    expect(kinds(run).filter((kind) => kind === 'update.accepted')).toHaveLength(1);
  });

  test('pausing stops the clock of deadlines and leases, and loses no fact', () => {
    const run = begin({ rounds: 1, minimum: 2, deadlineSeconds: 100 });
    run.apply({ kind: 'pause' });
    run.ready(a);
    run.wait(1_000_000);
    expect(run.state.phase).toBe('paused');
    run.apply({ kind: 'resume' });
    expect(run.state.phase).toBe('training');
    expect(run.state.participants.get(a)?.stage).toBe('ready');
    run.ready(b);
    run.ready(c);
    expect(run.state.phase).toBe('collecting');
  });

  test('a coordinator that was away for longer than the deadline goes on where it was', () => {
    const run = begin({ rounds: 1, minimum: 2, deadlineSeconds: 100 });
    run.ready(a);
    run.restart(replay, 10_000_000);
    expect(run.state).toMatchObject({ phase: 'training', round: 0 });
    for (const nodeId of [a, b, c]) run.apply({ kind: 'connected', nodeId });
    run.ready(b);
    run.ready(c);
    run.upload(a);
    run.restart(replay, 10_000_000);
    expect(run.state).toMatchObject({ phase: 'collecting', round: 0, cohort: [a, b, c] });
    run.upload(b);
    run.upload(c);
    expect(run.state.phase).toBe('committing');
  });

  test('an aggregation that fails pauses the run with its reason; resuming tries it again', () => {
    const run = begin({ rounds: 1, minimum: 2 });
    for (const nodeId of [a, b, c]) run.ready(nodeId);
    for (const nodeId of [a, b, c]) run.upload(nodeId);
    run.aggregate(true);
    expect(run.state).toMatchObject({ phase: 'paused', reason: { code: 'WEFT_DISK_FULL' } });
    run.apply({ kind: 'resume' });
    run.aggregate();
    expect(run.state.committedRounds).toBe(1);
  });

  test('what an admin must not do now is refused', () => {
    const run = begin({ rounds: 1 });
    expect(run.apply({ kind: 'start' })).toBe('WEFT_RUN_STATE');
    expect(run.apply({ kind: 'resume' })).toBe('WEFT_RUN_STATE');
    run.apply({ kind: 'stop' });
    expect(run.state).toMatchObject({ lifecycle: 'stopped', phase: 'aborted' });
    expect(run.apply({ kind: 'stop' })).toBe('WEFT_RUN_STATE');
    expect(run.ready(a)).toBe('WEFT_UPDATE_WRONG_ROUND');
  });
});

describe('under any schedule of events', () => {
  const node = fc.constantFrom(...simulatedNodes);
  const payload = fc.constantFrom('first', 'second');
  const action = fc.oneof(
    { weight: 4, arbitrary: node.map((nodeId) => (run: Simulation) => run.apply({ kind: 'connected', nodeId })) },
    { weight: 2, arbitrary: node.map((nodeId) => (run: Simulation) => run.apply({ kind: 'disconnected', nodeId })) },
    { weight: 1, arbitrary: node.map((nodeId) => (run: Simulation) => run.apply({ kind: 'revoked', nodeId })) },
    { weight: 2, arbitrary: node.map((nodeId) => (run: Simulation) => run.apply({ kind: 'heard', nodeId })) },
    {
      weight: 8,
      arbitrary: fc.tuple(node, payload).map(
        ([nodeId, name]) =>
          (run: Simulation) =>
            run.ready(nodeId, name),
      ),
    },
    {
      weight: 8,
      arbitrary: fc.tuple(node, payload).map(
        ([nodeId, name]) =>
          (run: Simulation) =>
            run.upload(nodeId, name),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(node, fc.integer({ min: -1, max: 5 })).map(
        ([nodeId, round]) =>
          (run: Simulation) =>
            run.upload(nodeId, 'first', round) ?? run.ready(nodeId, 'first', round),
      ),
    },
    { weight: 2, arbitrary: node.map((nodeId) => (run: Simulation) => run.evaluate(nodeId)) },
    {
      weight: 1,
      arbitrary: node.map(
        (nodeId) => (run: Simulation) =>
          run.apply({
            kind: 'declined',
            nodeId,
            round: run.state.round,
            reason: { code: 'WEFT_DATA_EMPTY', message: '' },
          }),
      ),
    },
    {
      weight: 4,
      arbitrary: fc.boolean().map((fails) => (run: Simulation) => run.aggregate(fails && run.now % 2 === 0)),
    },
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(2, 2.01, 9, null)
        .map((loss) => (run: Simulation) => run.score((hash) => (hash === run.created.data.adapter.sha256 ? 2 : loss))),
    },
    {
      weight: 6,
      arbitrary: fc
        .constantFrom(1, 500, 1_001, 12_345, 31_000, 4_000_000)
        .map((ms) => (run: Simulation) => run.wait(ms)),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom('pause' as const, 'resume' as const, 'timer' as const)
        .map((kind) => (run: Simulation) => run.apply({ kind })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, 50_000, 9_000_000).map((ms) => (run: Simulation) => run.restart(replay, ms)),
    },
    {
      weight: 1,
      arbitrary: fc
        .nat(20)
        .map(
          (at) => (run: Simulation) =>
            run.apply({ kind: 'rollBack', to: run.state.versions.at(at)?.adapter.sha256 ?? '' }),
        ),
    },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 0, max: 30 })
        .map((dice) => (run: Simulation) => dice === 0 && run.apply({ kind: 'stop' })),
    },
  );

  test('a run ends, counts no update twice, keeps the order of phases, and replays to the same state', () => {
    const spec = fc.record({
      rounds: fc.integer({ min: 1, max: 3 }),
      minimum: fc.integer({ min: 1, max: 3 }),
      maximum: fc.integer({ min: 3, max: 5 }),
      quorum: fc.constantFrom(0.2, 0.67, 1),
      heldOutShare: fc.constantFrom(0, 0.1),
      greatestIncrease: fc.constantFrom(undefined, 0.02),
    });
    fc.assert(
      fc.property(spec, fc.array(action, { maxLength: 120, size: 'max' }), (settings, actions) => {
        const run = simulate(settings);
        run.apply({ kind: 'start' });
        for (const act of actions) act(run);
        expect(durable(replay(run.created, run.events))).toEqual(durable(run.state));
        const hadAChance = !hasEnded(run.state) && run.state.failedTries < defaultTiming.failedTries - 1;
        run.finish();
        if (hadAChance) expect(run.state.lifecycle).toBe('finished');
        checkHistory(run);
      }),
      { numRuns: 2000 },
    );
  });

  test('no cohort has more members of one organisation than the cap, the machine never sticks, and its rows replay', () => {
    const spec = fc.record({
      rounds: fc.integer({ min: 1, max: 3 }),
      minimum: fc.integer({ min: 1, max: 4 }),
      quorum: fc.constantFrom(0.2, 0.67, 1),
      perOrganisation: fc.integer({ min: 1, max: 3 }),
      organisations: fc.array(fc.constantFrom('a', 'b', undefined), { minLength: 5, maxLength: 5 }),
    });
    let leftOut = 0;
    fc.assert(
      fc.property(spec, fc.array(action, { maxLength: 80, size: 'max' }), ({ organisations, ...settings }, actions) => {
        const organisationOf = (nodeId: NodeId) => organisations[simulatedNodes.indexOf(nodeId)]?.repeat(64);
        const run = simulate({ ...settings, organisationOf });
        run.apply({ kind: 'start' });
        for (const act of actions) act(run);
        expect(durable(replay(run.created, run.events))).toEqual(durable(run.state));
        run.finish();
        checkHistory(run);
        checkCaps(run, organisationOf);
        leftOut += run.events.filter(
          ({ kind, data }) => kind === 'node.left' && 'cause' in data && data.cause === 'perOrganisation',
        ).length;
      }),
      { numRuns: 1000 },
    );
    expect(leftOut).toBeGreaterThan(0);
  });
});

/** No cohort has more members of one organisation than the cap, and none is below the minimum. */
function checkCaps(run: Simulation, organisationOf: (nodeId: NodeId) => string | undefined): void {
  const { minimum, perOrganisation } = run.state.spec.cohort;
  for (const event of run.events) {
    if (event.kind !== 'cohort.fixed') continue;
    const { nodeIds } = event.data;
    expect(nodeIds.length).toBeGreaterThanOrEqual(minimum);
    for (const members of Map.groupBy(nodeIds, organisationOf).values())
      expect(members.length).toBeLessThanOrEqual(perOrganisation!);
  }
}

/** Which phase may follow which, in plain mode. */
const followers: Partial<Record<RoundPhase, RoundPhase[]>> = {
  // at once to the end where the run was rolled back, or forward, to the version after the last round
  waiting: ['training', 'evaluating'],
  training: ['collecting', 'waiting'],
  collecting: ['committing', 'waiting'],
  committing: ['waiting', 'evaluating'],
  // by the gate, before the sum is committed
  evaluating: ['waiting', 'evaluating'],
};

function checkHistory(run: Simulation): void {
  let phase: RoundPhase = 'waiting';
  const { gate } = run.state.spec.evaluation;
  const accepted = new Set<string>();
  const committed = new Set<number>();
  let acceptedInRound: string[] = [];
  for (const event of run.events) {
    if (event.kind === 'round.phase') {
      expect(followers[phase], `${event.data.phase} after ${phase}`).toContain(event.data.phase);
      phase = event.data.phase;
    }
    // Between rounds, whatever a pause held.
    if (event.kind === 'run.rolledBack') phase = 'waiting';
    if (event.kind === 'round.started') acceptedInRound = [];
    if (event.kind === 'update.accepted') {
      const key = `${event.round} ${event.nodeId}`;
      expect(accepted.has(key), `${key} was accepted twice`).toBe(false);
      expect(phase).toBe('collecting');
      accepted.add(key);
      acceptedInRound.push(event.nodeId!);
    }
    if (event.kind === 'round.committed') {
      expect(committed.has(event.round!), `round ${event.round} was committed twice`).toBe(false);
      expect(phase).toBe(gate === undefined ? 'committing' : 'evaluating');
      if (gate !== undefined) expect(isKeptByGate(event.data.gate!, gate.greatestIncrease)).toBe(true);
      expect(event.data.nodeIds).toEqual(acceptedInRound.toSorted());
      expect(event.data.nodeIds.length).toBeGreaterThanOrEqual(run.state.spec.cohort.minimum);
      expect(event.data.nodeIds.length).toBeLessThanOrEqual(run.state.spec.cohort.maximum);
      committed.add(event.round!);
    }
  }
  if (run.state.lifecycle !== 'finished') return;
  if (run.events.some(({ kind }) => kind === 'run.rolledBack')) return;
  expect(committed.size).toBe(run.state.spec.rounds);
}

function replay(created: Simulation['created'], events: readonly RunEvent[]): RunState {
  return events.reduce(evolve, initialState(created.runId!, created.data, defaultTiming, simulatedValues));
}

/** What a replay must give back: all but what belongs to one process. */
const durable = (state: RunState): Partial<RunState> => ({
  ...state,
  connected: new Map(),
  heardAt: new Map(),
  bytesDown: new Map(),
  leases: { of: '', until: 0 },
  enoughSince: undefined,
  aggregating: false,
  scoring: false,
});
