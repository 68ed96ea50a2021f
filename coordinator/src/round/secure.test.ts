import { secagg, sha256, toNodeId } from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { members, SecureRun, update } from './secure-simulation.ts';
import { hasEnded, type RunState } from './state.ts';

/** What a replay must give back: all but what belongs to one process. */
const durable = (state: RunState) => ({
  ...state,
  connected: undefined,
  heardAt: undefined,
  bytesDown: undefined,
  leases: { of: '', until: 0 },
  enoughSince: undefined,
  aggregating: undefined,
  scoring: undefined,
});

describe('a run with secure aggregation', () => {
  test('commits exact sums only, whoever dies and whenever the coordinator is killed, and its rows replay to the same state', () => {
    const plan = fc.record({
      kills: fc.array(
        fc.record({ after: fc.integer({ min: 0, max: 90 }), downMs: fc.constantFrom(0, 5_000, 9_000_000) }),
        {
          maxLength: 4,
        },
      ),
      deaths: fc.uniqueArray(
        fc.record({ node: fc.integer({ min: 0, max: members - 1 }), after: fc.integer({ min: 0, max: 120 }) }),
        { maxLength: 2, selector: ({ node }) => node },
      ),
    });
    let committed = 0;
    fc.assert(
      fc.property(plan, ({ kills, deaths }) => {
        const run = new SecureRun();
        run.connect();
        run.apply({ kind: 'start' });
        for (let turn = 0; turn < 900 && !hasEnded(run.state); turn++) {
          for (const { node, after } of deaths) if (after === turn) run.dead.add(node);
          for (const { after, downMs } of kills) if (after === turn) run.restart(downMs);
          run.turn();
        }
        expect(durable(run.replayed())).toEqual(durable(run.state));
        expect(run.state.blamed.size).toBe(0);
        // Killed or not, the coordinator promises a member of a round one thing.
        for (const told of run.receipts.values()) expect(told.size).toBe(1);
        for (const { sum, nodes } of run.sums) {
          expect(sum).toBe(nodes.reduce((total, node) => total + update(node), 0));
          expect(nodes.length).toBeGreaterThanOrEqual(3);
        }
        expect(run.state.lifecycle).toBe('finished');
        committed += run.state.committedRounds;
        // The norm follows from the rows of committed rounds alone: exp(−0.2·(0.9 − 0.5)) each.
        expect(run.state.clipNormL2).toBeCloseTo(10 * Math.exp(-0.08 * 2), 9);
        const norms = [...run.offeredNorms].toSorted(([a], [b]) => a - b).map(([, norm]) => norm);
        expect(norms[0]).toBe(10);
        expect(norms.at(-1)).toBeCloseTo(10 * Math.exp(-0.08), 9);
      }),
      { numRuns: 25 },
    );
    expect(committed).toBe(50);
  });

  test('sums no more members of an organisation than the cap says, and tells the others that they are not in the cohort', () => {
    const [hospital, library] = ['a', 'b'].map((digit) => digit.repeat(64));
    const run = new SecureRun(1, [hospital, hospital, hospital, library, undefined]);
    run.connect();
    run.apply({ kind: 'start' });
    for (let turn = 0; turn < 900 && !hasEnded(run.state); turn++) run.turn();
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    const cohorts = run.events.flatMap((event) => (event.kind === 'cohort.fixed' ? [event.data.nodeIds] : []));
    expect(run.sums).toHaveLength(2);
    run.sums.forEach(({ sum, nodes }, round) => {
      expect(sum).toBe(nodes.reduce((total, node) => total + update(node), 0));
      expect(nodes.map((node) => run.ids[node]!).toSorted()).toEqual(cohorts[round]);
      expect(nodes.filter((node) => node < 3)).toHaveLength(1);
      expect(nodes).toHaveLength(3);
      const others = run.ids.slice(0, 3).filter((nodeId) => !cohorts[round]!.includes(nodeId));
      expect(run.leftOut[round]).toEqual([round, ...others]);
    });
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test('gives a round up whose members are too few under the cap, and says so with the numbers', () => {
    const run = new SecureRun(
      1,
      ['a', 'a', 'a', undefined, undefined].map((digit) => digit?.repeat(64)),
    );
    run.connect();
    run.apply({ kind: 'start' });
    for (let turn = 0; turn < 900 && !hasEnded(run.state); turn++) run.turn();
    expect(run.state).toMatchObject({ lifecycle: 'aborted', committedRounds: 0 });
    expect(run.state.reason?.message).toContain(
      'cohort.perOrganisation is 1 and lets 2 of the 5 ready ones in, cohort.minimum is 3',
    );
    expect(run.events.some(({ kind }) => kind === 'cohort.fixed')).toBe(false);
  });

  test.each([
    ['whose only sum is refused', 'WEFT_SUM_REFUSED'],
    ['with too few shards left to be trimmed', 'WEFT_SHARDS_TOO_FEW'],
  ])('gives a round up %s, and goes on with the next one', (_, code) => {
    const run = new SecureRun();
    run.refusal = code;
    run.sumsToRefuse = 1;
    run.connect();
    run.apply({ kind: 'start' });
    for (let turn = 0; turn < 900 && !hasEnded(run.state); turn++) run.turn();
    expect(run.events.flatMap((event) => (event.kind === 'round.aborted' ? [event.data.reason.code] : []))).toEqual([
      code,
    ]);
    expect(run.events.some(({ kind }) => kind === 'run.paused')).toBe(false);
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test('promises by when a cut or abort is logged, and keeps that through a pause: the round is given up', () => {
    const run = new SecureRun();
    const inputs = () =>
      run.events.filter(({ kind, data }) => kind === 'secagg.moved' && 'kind' in data && data.kind === 'maskedInput');
    run.connect();
    run.apply({ kind: 'start' });
    while (inputs().length === 0) run.turn();
    const { round } = run.state;
    run.apply({ kind: 'pause' });
    expect(run.state.lifecycle).toBe('paused');
    expect(run.events.filter((event) => event.kind === 'round.aborted')).toHaveLength(1);
    run.apply({ kind: 'resume' });
    while (!hasEnded(run.state)) run.turn();
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toMatchObject([{ round }]);
    // From its own row: the time in which inputs are taken, and a minute.
    const rowTimes = inputs().map(({ at }) => at);
    for (const promised of run.promisedMs)
      expect(rowTimes.some((at) => promised - at > 60_000 && promised - at < 600_000)).toBe(true);
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test('takes no message of one member in the session of another, so that each vector is held against its own signature', () => {
    const run = new SecureRun();
    // Node 0 uploads nothing: it signs an input with the root of node 1's vector, and node 1 delivers both in its session.
    let theirs: secagg.Signed | undefined;
    run.wire = (said) => {
      if (said.name !== 'maskedInput' || said.node > 1) return [said];
      if (said.node === 0) theirs = said.signed;
      if (said.node === 0 || theirs === undefined) return [];
      const { chunkRoot, lengthBytes } = secagg.decodeBody('maskedInput', said.signed.body);
      const lie = { ...secagg.decodeBody('maskedInput', theirs.body), chunkRoot, lengthBytes };
      return [{ ...said, signed: run.signAs(0, 'maskedInput', lie) }, { ...said }];
    };
    run.runUntil(() => run.sums.length > 0);
    expect(run.refused).toContain('WEFT_UPDATE_WRONG_NODE');
    const [first] = run.sums;
    expect(first!.nodes).not.toContain(0);
    expect(first!.sum).toBe(first!.nodes.reduce((total, node) => total + update(node), 0));
  });

  test.each(['keyAdvert', 'shares', 'cutAck', 'opening'])(
    'takes the %s of no member in the session of another',
    (kind) => {
      const run = new SecureRun();
      run.wire = (said) => (said.name === kind && said.node === 0 ? [{ ...said, node: 1 }] : [said]);
      run.runUntil(() => run.refused.length > 0);
      expect(run.refused).toEqual(['WEFT_UPDATE_WRONG_NODE']);
    },
  );

  test('has no row for a complaint that is none, and one for whoever has one to make', () => {
    const run = new SecureRun();
    const complaints = () =>
      run.events.filter(({ kind, data }) => kind === 'secagg.moved' && 'kind' in data && data.kind === 'complaint')
        .length;
    // Whatever a member says, it complains beside it: about another, about itself, and in bytes that are nothing.
    run.wire = (said) => {
      const { session } = run.state.secure?.server ?? {};
      const noise = { body: new Uint8Array(1000).fill(7), signature: new Uint8Array(0) };
      const nothing = Array.from({ length: 20 }, () => ({ ...said, name: 'complaint', signed: noise }));
      if (!session || said.node !== 0) return [said, ...nothing];
      const place = session.members.findIndex(({ identityKey }) => toNodeId(identityKey) === run.ids[0]);
      const header = { roundId: session.roundId, sessionId: session.shardOf[place]!.sessionId, index: place };
      const signed = [0, 1, 2, 3, 4, 99].map((dealer) => run.signAs(0, 'complaint', { ...header, dealer, reason: 1 }));
      return [...nothing, ...signed.map((one) => ({ ...said, name: 'complaint', signed: one })), said];
    };
    run.runUntil(() => run.sums.length > 0);
    expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
    expect(complaints()).toBe(1);
    expect(run.sums[0]!.nodes).toHaveLength(members - 1);
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test.each([
    ['of small order', new Uint8Array(32)],
    ['in an encoding that is not its own', new Uint8Array(32).fill(0xff)],
  ])('sums without a node that sends a key %s, in every round', (_, shareKey) => {
    const run = new SecureRun();
    run.wire = (said) => {
      if (said.name !== 'keyAdvert' || said.node !== 0) return [said];
      const advert = { ...secagg.decodeBody('keyAdvert', said.signed.body), shareKey };
      return [{ ...said, signed: run.signAs(0, 'keyAdvert', advert) }];
    };
    run.runUntil(() => false);
    expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect(run.sums.map(({ nodes }) => new Set(nodes))).toEqual([new Set([1, 2, 3, 4]), new Set([1, 2, 3, 4])]);
  });

  test('leaves a dealer whose shares too many cannot open out of the next round, and names it in why this one ended', () => {
    const run = new SecureRun();
    run.wire = (said) => {
      if (said.name !== 'shares' || said.node !== 0) return [said];
      const dealt = secagg.decodeBody('shares', said.signed.body);
      const sealed = dealt.sealed.map((one) => ({ ...one, ciphertext: one.ciphertext.toReversed() }));
      return [{ ...said, signed: run.signAs(0, 'shares', { ...dealt, sealed }) }];
    };
    run.runUntil(() => false);
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect([...run.state.blamed]).toEqual([run.ids[0]]);
    const reasons = run.events.flatMap((event) => (event.kind === 'round.aborted' ? [event.data.reason.message] : []));
    expect(reasons).toEqual([expect.stringContaining(`${run.ids[0]}: 2 members of its shard could not open`)]);
    expect(run.sums.map(({ nodes }) => new Set(nodes))).toEqual([new Set([1, 2, 3, 4]), new Set([1, 2, 3, 4])]);
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test('a member that opens another share than it was dealt is in no later round, also where the sum came off without it', () => {
    const run = new SecureRun();
    run.wire = (said) => {
      if (said.name !== 'opening' || said.node !== 0) return [said];
      const opened = secagg.decodeBody('opening', said.signed.body);
      const shares = opened.shares.with(0, new Uint8Array(32).fill(1));
      return [{ ...said, signed: run.signAs(0, 'opening', { ...opened, shares }) }];
    };
    run.runUntil(() => false);
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect([...run.state.blamed]).toEqual([run.ids[0]]);
    expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
    expect(run.sums.map(({ nodes }) => nodes.includes(0))).toEqual([true, false]);
  });

  const movedBy = (run: SecureRun, name: string): number =>
    run.events.filter(({ kind, data }) => kind === 'secagg.moved' && 'kind' in data && data.kind === name).length;

  test.each([
    ['keyAdvert', 1],
    ['shares', 3],
    ['maskedInput', 1],
    ['maskedInput', 4],
  ])(
    'sums without a member that is revoked when its %s has come, which counts as if it had not (%i of them)',
    (name, count) => {
      const run = new SecureRun();
      let last = -1;
      run.wire = (said) => {
        if (said.name === name) last = said.node;
        return [said];
      };
      run.runUntil(() => movedBy(run, name) === count);
      const gone = last;
      run.dead.add(gone);
      run.apply({ kind: 'revoked', nodeId: run.ids[gone]! });
      expect(durable(run.replayed())).toEqual(durable(run.state));
      run.runUntil(() => false);
      expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
      expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
      for (const { sum, nodes } of run.sums) {
        expect(nodes.length).toBe(members - 1);
        expect(nodes).not.toContain(gone);
        expect(sum).toBe(nodes.reduce((total, node) => total + update(node), 0));
      }
      expect(durable(run.replayed())).toEqual(durable(run.state));
    },
  );

  test.each([
    ['the cut is fixed', (run: SecureRun) => run.state.secure?.server.phase === 'cutting'],
    ['enough have signed it', (run: SecureRun) => run.state.secure?.server.phase === 'opening'],
    ['the sum is being made', (run: SecureRun) => run.state.phase === 'committing'],
    [
      'the sum is being made, which comes when the next one is due',
      (run: SecureRun) => {
        run.isSlow = run.state.round === 0;
        return run.state.phase === 'committing';
      },
    ],
  ])(
    'commits nothing of a member that is revoked once %s: the round is given up, and the next one is without it',
    (_, holds) => {
      for (const pauses of [false, true]) {
        const run = new SecureRun();
        run.runUntil(() => holds(run));
        if (pauses) run.apply({ kind: 'pause' });
        run.dead.add(0);
        run.apply({ kind: 'revoked', nodeId: run.ids[0]! });
        if (pauses) run.apply({ kind: 'resume' });
        expect(durable(run.replayed())).toEqual(durable(run.state));
        run.runUntil(() => false);
        expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
        const committed = run.events.flatMap((event) => (event.kind === 'round.committed' ? event.data.nodeIds : []));
        expect(new Set(committed)).toEqual(new Set(run.ids.slice(1)));
        const reasons = run.events.flatMap((event) => (event.kind === 'round.aborted' ? [event.data.reason] : []));
        expect(reasons).toEqual([
          { code: 'WEFT_SECAGG_ABORTED', message: 'a member was revoked after the cut was fixed' },
        ]);
        expect(durable(run.replayed())).toEqual(durable(run.state));
      }
    },
  );

  test('does not pass through its gate what a revoked member is in, and goes on after one that is in no cut', () => {
    const run = new SecureRun(undefined, [], { gate: { dataSha256: sha256('public'), greatestIncrease: 1 } });
    run.dead.add(1);
    run.runUntil(() => run.state.candidate !== undefined);
    run.apply({ kind: 'revoked', nodeId: run.ids[1]! });
    expect(run.state.phase).toBe('evaluating');
    run.apply({ kind: 'revoked', nodeId: run.ids[0]! });
    expect(run.state).toMatchObject({ candidate: undefined, committedRounds: 0, failedTries: 1 });
    expect(durable(run.replayed())).toEqual(durable(run.state));
  });

  test('takes no input while it is paused, since its receipt could promise no time, and asks again on resuming', () => {
    const run = new SecureRun();
    const moved = (name: string): number =>
      run.events.filter(({ kind, data }) => kind === 'secagg.moved' && 'kind' in data && data.kind === name).length;
    run.connect();
    run.apply({ kind: 'start' });
    while (moved('shares') < members) run.turn();
    run.apply({ kind: 'pause' });
    for (let turn = 0; turn < 40; turn++) run.turn();
    expect(moved('maskedInput')).toBe(0);
    run.apply({ kind: 'resume' });
    while (!hasEnded(run.state)) run.turn();
    expect(run.state).toMatchObject({ lifecycle: 'finished', committedRounds: 2 });
    expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
  });
});
