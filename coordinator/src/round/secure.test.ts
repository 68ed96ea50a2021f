import { createHash } from 'node:crypto';
import {
  createIdentity,
  createSeededRandom,
  parseRunSpec,
  secagg,
  sha256,
  toNodeId,
  type NodeId,
  type RunId,
  type Sha256,
} from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NewEvent } from '../store/events.ts';
import { evolve, initialState, type RunEvent } from './evolve.ts';
import type { Effect, RoundInput } from './inputs.ts';
import { simulatedValues } from './simulation.ts';
import { defaultTiming, hasEnded, type RunState } from './state.ts';
import { step } from './step.ts';

const members = 5;
const update = (node: number): number => 1000 + 17 * node;

/** The run's machine, with nodes that are the product's own machine of secure aggregation. */
class SecureRun {
  readonly identities = Array.from(
    { length: members },
    (_, node) => createIdentity(createHash('sha256').update(`node ${node}`).digest()).identity,
  );
  readonly ids = this.identities.map(({ publicKey }) => toNodeId(publicKey));
  readonly coordinator = createIdentity(createHash('sha256').update('coordinator').digest()).identity;
  readonly events: RunEvent[] = [];
  readonly created: NewEvent<'run.created'>;
  state: RunState;
  now = 1_000_000;
  timerAt: number | undefined;
  /** Sum of each committed round, as the coordinator unmasked it, and who is in it. */
  readonly sums: { readonly sum: number; readonly nodes: readonly number[] }[] = [];
  /** What the sessions of each round were offered to clip to. */
  readonly offeredNorms = new Map<number, number>();
  readonly dead = new Set<number>();
  /** Sums that no honest members could have made come first. */
  sumsToRefuse = 0;
  refusal = 'WEFT_SUM_REFUSED';
  /** Bodies of the receipts that a node was told in a round, in hex; the times that they promise. */
  readonly receipts = new Map<string, Set<string>>();
  readonly promisedMs: number[] = [];
  /** Who was told that a round's cohort is without it, after the round's number. */
  readonly leftOut: (number | NodeId)[][] = [];
  readonly #random = createSeededRandom('secure run');
  #nodes: (NodeSide | undefined)[] = [];
  #waiting: (() => void)[] = [];
  #masked = new Map<string, number>();

  readonly #organisations: readonly (string | undefined)[];

  /** @param organisations of each node by its number, in hex */
  constructor(perOrganisation?: number, organisations: readonly (string | undefined)[] = []) {
    this.#organisations = organisations;
    const spec = parseRunSpec({
      name: 'secure',
      baseModel: { name: 'none', sha256: sha256('model') },
      adapter: {},
      training: { steps: 1 },
      cohort: { minimum: 3, maximum: members, quorum: 0.6, ...(perOrganisation && { perOrganisation }) },
      evaluation: { heldOutShare: 0 },
      aggregation: {},
      rounds: 2,
    });
    const adapter = { sha256: sha256('version 0'), sizeBytes: 40 };
    const data = { spec, specSha256: sha256('spec'), layoutSha256: sha256('layout'), adapter };
    this.created = { kind: 'run.created', runId: `r_${'0'.repeat(32)}` as RunId, data };
    this.state = this.replayed();
  }

  replayed(): RunState {
    const { runId, data } = this.created;
    return this.events.reduce(evolve, initialState(runId!, data, defaultTiming, simulatedValues));
  }

  apply(input: RoundInput): void {
    const { state, effects } = step(this.state, input, this.now, this.#random);
    this.state = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  /** Everything in flight is lost, the rows are not; nodes come back and are told again. */
  restart(downMs: number): void {
    this.now += downMs;
    this.#waiting = [];
    this.state = this.replayed();
    this.apply({ kind: 'recover' });
    this.connect();
  }

  connect(): void {
    this.ids.forEach((nodeId, node) => {
      if (!this.dead.has(node)) this.apply({ kind: 'connected', nodeId });
    });
  }

  /** One message arrives, or time passes to the next timer. */
  turn(): void {
    const next = this.#waiting.shift();
    if (next) return next();
    this.now = Math.max(this.now, this.timerAt ?? this.now);
    this.ids.forEach((nodeId, node) => {
      if (!this.dead.has(node)) this.apply({ kind: 'heard', nodeId });
    });
    this.apply({ kind: 'timer' });
  }

  #carryOut(effect: Effect): void {
    if (effect.kind === 'record') this.events.push(...(effect.events as RunEvent[]));
    if (effect.kind === 'announceCohort') this.leftOut.push([effect.round, ...effect.to]);
    if (effect.kind === 'schedule') this.timerAt = effect.at;
    if (effect.kind === 'offer') this.#later(() => this.#ready(effect.nodeId, effect.round));
    if (effect.kind === 'sendSecure')
      for (const nodeId of effect.to) this.#later(() => this.#tell(this.ids.indexOf(nodeId), effect));
    if (effect.kind === 'aggregate') this.#later(() => this.#aggregate(effect));
  }

  #later(work: () => void): void {
    this.#waiting.push(work);
  }

  #ready(nodeId: NodeId, round: number): void {
    const node = this.ids.indexOf(nodeId);
    if (this.dead.has(node) || round !== this.state.round) return;
    const payload = { sha256: '0'.repeat(64) as Sha256, sizeBytes: 8 };
    const publicKey = Buffer.from(this.identities[node]!.publicKey).toString('hex');
    const organisation = this.#organisations[node];
    const endorsed = organisation !== undefined && { organisation };
    this.apply({ kind: 'ready', nodeId, round, payload, trainingMs: 1, publicKey, ...endorsed });
  }

  #tell(node: number, { round, message, memberKeys = [] }: Extract<Effect, { kind: 'sendSecure' }>): void {
    if (this.dead.has(node)) return;
    const { name, body, proof } = message;
    const signed = { body, signature: this.coordinator.sign(secagg.signedMessage(body)) };
    let side = this.#nodes[node];
    if (side?.round !== round) {
      if (name !== 'offer') return;
      side = { round, state: secagg.newNode(), options: this.#optionsOf(node, body, memberKeys) };
      this.#nodes[node] = side;
    }
    if (name === 'abort') return;
    if (name === 'receipt') {
      if (side.state.phase === 'ended') return;
      const receipt = secagg.readReceipt(side.state, signed, this.coordinator.publicKey);
      const elsewhere = { ...side.state, place: side.state.place! + 1 };
      const ofOthers =
        secagg.readReceipt(side.state, signed, this.identities[0]!.publicKey) ??
        secagg.readReceipt(elsewhere, signed, this.coordinator.publicKey);
      if (!receipt || ofOthers) throw new Error('a receipt is not for what this node sent alone');
      this.promisedMs.push(Number(receipt.loggedByMs));
      const key = `${round}/${node}`;
      this.receipts.set(key, (this.receipts.get(key) ?? new Set()).add(Buffer.from(body).toString('hex')));
      return;
    }
    // The product's nodes sign none without its promise: see secure-round.test.ts of the node agent.
    if (name === 'cut' && side.state.phase === 'submitted' && !this.receipts.has(`${round}/${node}`))
      throw new Error('a cut came before the receipt');
    const event =
      name === 'offer'
        ? { kind: name, signed, consistency: [] }
        : name === 'cut'
          ? { kind: name, signed, proof: proof! }
          : { kind: name as 'roster' | 'shareDelivery' | 'unmask', body };
    this.#stepNode(node, side, event);
  }

  #optionsOf(node: number, offer: Uint8Array, memberKeys: readonly Uint8Array[]): secagg.NodeOptions {
    const identity = this.identities[node]!;
    const loaded = secagg.decodeBody('offer', offer);
    this.offeredNorms.set(loaded.round, loaded.clipNormL2);
    const knowledge: secagg.NodeKnowledge = {
      coordinatorKey: this.coordinator.publicKey,
      identityKey: identity.publicKey,
      directory: new Map(
        memberKeys.map((key) => [
          Buffer.from(secagg.nodeIdOf(key)).toString('hex'),
          { identityKey: key, trusted: true, organisation: this.#organisations[this.ids.indexOf(toNodeId(key))] },
        ]),
      ),
      loaded,
      expectedAdapterHash: loaded.adapterHash,
      lastRound: -1,
      checkpoint: { size: 0, root: new Uint8Array(32) },
      policy: {
        leastColluders: 1,
        leastHonest: 2,
        leastOrganisations: 0,
        mostOfOneOrganisation: this.state.spec.cohort.perOrganisation,
        acceptsSmallCohort: true,
      },
    };
    return { knowledge, sign: (message) => identity.sign(message) };
  }

  #stepNode(node: number, side: NodeSide, event: secagg.NodeEvent): void {
    const secret = createHash('sha256').update(`secret ${node} ${side.round}`).digest();
    const { state, effects } = secagg.stepNode(side.options, side.state, event, this.now, () => secret);
    side.state = state;
    for (const effect of effects) {
      if (effect.kind === 'mask') {
        const words = Uint32Array.of(update(node), 1);
        secagg.addMasks(words, effect.terms);
        side.words = words;
        this.#stepNode(node, side, { kind: 'masked', chunkRoot: rootOf(words), lengthBytes: words.byteLength });
      }
      if (effect.kind === 'send') this.#later(() => this.#answer(node, side, effect));
    }
  }

  #answer(
    node: number,
    { round, words }: NodeSide,
    { name, signed }: Extract<secagg.NodeEffect, { kind: 'send' }>,
  ): void {
    if (this.dead.has(node) || round !== this.state.round) return;
    const nodeId = this.ids[node]!;
    if (name === 'maskedInput' && words && this.state.phase === 'collecting') {
      const payloadSha256 = sha256(new Uint8Array(words.buffer));
      words.forEach((word, i) => this.#masked.set(`${payloadSha256} ${i}`, word));
      const chunkRoot = Buffer.from(rootOf(words)).toString('hex') as Sha256;
      const facts = { weight: 0, clipped: false, saturatedValues: 0, values: 1, transferMs: 1, chunkRoot };
      const row = {
        updateSha256: sha256(payloadSha256),
        update: '',
        signature: '',
        payloadSha256,
        payloadBytes: 8,
        ...facts,
      };
      this.apply({ kind: 'uploaded', nodeId, round, update: row });
    }
    try {
      this.apply({ kind: 'secure', nodeId, round, name, signed });
    } catch {
      // Too late for this round.
    }
  }

  #aggregate({ round, updates, shards = [] }: Extract<Effect, { kind: 'aggregate' }>): void {
    if (this.sumsToRefuse > 0) {
      this.sumsToRefuse--;
      const reason = { code: this.refusal, message: '1 of 1 sums are refused' };
      return this.apply({ kind: 'aggregationFailed', round, reason });
    }
    const sum = new Uint32Array(2);
    for (const { payload } of updates.values())
      sum.forEach((_, i) => (sum[i]! += this.#masked.get(`${payload.sha256} ${i}`)!));
    for (const { masks } of shards) secagg.addMasks(sum, masks);
    this.sums.push({ sum: sum[0]!, nodes: [...updates.keys()].map((nodeId) => this.ids.indexOf(nodeId)) });
    const adapter = { sha256: sha256(`round ${round}`), sizeBytes: 40 };
    this.apply({
      kind: 'aggregated',
      round,
      aggregate: { adapter, weightSum: sum[1]!, withinShare: 0.9, deltaNormL2: 1, finite: true, seconds: 1 },
    });
  }
}

interface NodeSide {
  readonly round: number;
  readonly options: secagg.NodeOptions;
  state: secagg.NodeState;
  words?: Uint32Array;
}

function rootOf(words: Uint32Array): Uint8Array {
  const root = new secagg.ChunkRoot();
  root.add(new Uint8Array(words.buffer));
  return root.root();
}

/** What a replay must give back: all but what belongs to one process. */
const durable = (state: RunState) => ({
  ...state,
  connected: undefined,
  heardAt: undefined,
  bytesDown: undefined,
  enoughSince: undefined,
  aggregating: undefined,
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
