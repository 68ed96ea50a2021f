import { createHash } from 'node:crypto';
import {
  createIdentity,
  createSeededRandom,
  parseRunSpec,
  secagg,
  sha256,
  toNodeId,
  toWeftError,
  type NodeId,
  type RunId,
  type Sha256,
} from '@weft/shared';
import type { EventData, NewEvent } from '../store/events.ts';
import { evolve, initialState, type RunEvent } from './evolve.ts';
import type { Effect, RoundInput } from './inputs.ts';
import { simulatedValues } from './simulation.ts';
import { defaultTiming, type RunState } from './state.ts';
import { step } from './step.ts';

export const members = 5;
export const update = (node: number): number => 1000 + 17 * node;

/** The run's machine, with nodes that are the product's own machine of secure aggregation. */
export class SecureRun {
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
  /** What nodes say arrives as it is; one that lies says something else. */
  wire: (said: Said) => readonly Said[] = (said) => [said];
  /** Codes of what the machine refused. */
  readonly refused: string[] = [];
  readonly #random = createSeededRandom('secure run');
  #nodes: (NodeSide | undefined)[] = [];
  #waiting: (() => void)[] = [];
  #masked = new Map<string, number>();
  #sums: Extract<Effect, { kind: 'aggregate' }>[] = [];
  isSlow = false;

  readonly #organisations: readonly (string | undefined)[];

  /** @param organisations of each node by its number, in hex */
  constructor(
    perOrganisation?: number,
    organisations: readonly (string | undefined)[] = [],
    evaluation: { readonly gate?: { readonly dataSha256: Sha256; readonly greatestIncrease: number } } = {},
  ) {
    this.#organisations = organisations;
    const spec = parseRunSpec({
      name: 'secure',
      baseModel: { name: 'none', sha256: sha256('model') },
      adapter: {},
      training: { steps: 1 },
      cohort: { minimum: 3, maximum: members, quorum: 0.6, ...(perOrganisation && { perOrganisation }) },
      evaluation: { heldOutShare: 0, ...evaluation },
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

  /** From the start, or from where it is, until this holds or the run can do no more. */
  runUntil(holds: () => boolean): this {
    if (this.state.lifecycle === 'created') {
      this.connect();
      this.apply({ kind: 'start' });
    }
    for (let turn = 0; turn < 2000 && this.state.lifecycle === 'running' && !holds(); turn++) this.turn();
    return this;
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
    if (effect.kind === 'aggregate') this.#addUp(effect);
  }

  /** Slowly, if told: the first sum comes when the next one is asked for. */
  #addUp(effect: Extract<Effect, { kind: 'aggregate' }>): void {
    this.#sums.push(effect);
    if (this.isSlow && this.#sums.length === 1) return;
    for (const sum of this.#sums.splice(0)) this.#later(() => this.#aggregate(sum));
    this.isSlow = false;
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
      runId: loaded.runId,
      round: loaded.round,
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
    for (const said of this.wire({ node, name, signed, words })) this.#hear(said);
  }

  #hear({ node, name, signed, words }: Said): void {
    const { round } = this.state;
    const nodeId = this.ids[node]!;
    try {
      if (name === 'maskedInput' && words && this.state.phase === 'collecting')
        this.apply({ kind: 'uploaded', nodeId, round, update: this.#upload(words) });
      this.apply({ kind: 'secure', nodeId, round, name, signed });
    } catch (error) {
      // Too late for this round, or a lie.
      this.refused.push(toWeftError(error).code);
    }
  }

  #upload(words: Uint32Array): EventData<'update.accepted'> {
    const payloadSha256 = sha256(new Uint8Array(words.buffer));
    words.forEach((word, i) => this.#masked.set(`${payloadSha256} ${i}`, word));
    const chunkRoot = Buffer.from(rootOf(words)).toString('hex') as Sha256;
    const facts = { weight: 0, clipped: false, saturatedValues: 0, values: 1, transferMs: 1, chunkRoot };
    return {
      updateSha256: sha256(payloadSha256),
      update: '',
      signature: '',
      payloadSha256,
      payloadBytes: 8,
      ...facts,
    };
  }

  /** Signs as this node what it would not say itself. */
  signAs<N extends secagg.BodyName>(node: number, name: N, body: secagg.BodyInit<N>): secagg.Signed {
    const bytes = secagg.encodeBody(name, body);
    return { body: bytes, signature: this.identities[node]!.sign(secagg.signedMessage(bytes)) };
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

/** In the session of this node, beside the vector where it sends one. */
export interface Said {
  readonly node: number;
  readonly name: string;
  readonly signed: secagg.Signed;
  readonly words: Uint32Array | undefined;
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
