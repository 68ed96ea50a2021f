import { createHash } from 'node:crypto';
import { createIdentity, type Identity } from '../../src/identity.ts';
import { createSeededRandom } from '../../src/random.ts';
import type { BodyInit, BodyName, Signed } from '../../src/secagg/bodies.ts';
import { decodeBody, noPlace } from '../../src/secagg/bodies.ts';
import { sha256Bytes } from '../../src/secagg/keys.ts';
import { addMasks, type MaskTerm, reduceWords, type RingWords, ringWords } from '../../src/secagg/mask.ts';
import type { nodeChecks, NodeKnowledge, NodePolicy } from '../../src/secagg/node-checks.ts';
import {
  newNode,
  type NodeEffect,
  type NodeEvent,
  type NodeOptions,
  type NodeState,
} from '../../src/secagg/node-state.ts';
import { stepNode } from '../../src/secagg/node.ts';
import { stepServer } from '../../src/secagg/server.ts';
import {
  newServer,
  type ServerEffect,
  type ServerEvent,
  type ServerOptions,
  type ServerState,
} from '../../src/secagg/server-state.ts';
import { type Directory, hex, nodeIdOf, signedMessage } from '../../src/secagg/session.ts';

/** One session in one process: the product's machines, vectors in memory, a clock that only deadlines move. */

export interface RehearsalOptions {
  readonly members: number;
  readonly words?: number;
  readonly bits?: number;
  readonly offer?: Partial<BodyInit<'offer'>>;
  /** That nodes trained for; what the offer says unless told. */
  readonly trainedFor?: Partial<Pick<NodeKnowledge, 'runId' | 'round'>>;
  readonly policy?: Partial<NodePolicy>;
  readonly checks?: typeof nodeChecks;
  /** Nodes whose organisation the others do not trust, by number. */
  readonly untrusted?: readonly number[];
  /** Of each node by its number; all are of one, but for the second beacon of shards, unless told. */
  readonly organisationOf?: (node: number) => string | undefined;
  readonly seed?: string;
}

/** What passes on the wire, in either direction; an attack answers with what arrives instead. */
export interface Passing {
  readonly node: number;
  readonly event: NodeEvent | ServerEvent;
  readonly to: 'node' | 'server';
}
export type Wire = (passing: Passing, rehearsal: Rehearsal) => readonly (NodeEvent | ServerEvent)[];
export const honest: Wire = ({ event }) => [event];

export interface RehearsedNode {
  readonly options: NodeOptions;
  readonly identity: Identity;
  readonly update: RingWords;
  state: NodeState;
  masked?: RingWords;
  effects: NodeEffect[];
  journal: NodeEvent[];
  /** Every state that it went through. */
  states: NodeState[];
  sent: { name: BodyName; signed: Signed }[];
}

const zeros = new Uint8Array(32);
const named = (name: string): Uint8Array => createHash('sha256').update(name).digest();

export class Rehearsal {
  nodes: RehearsedNode[];
  readonly serverOptions: ServerOptions;
  readonly coordinator: Identity;
  readonly bits: number;
  readonly words: number;
  readonly effects: ServerEffect[] = [];
  server: ServerState = newServer();
  sum?: RingWords;
  now = 0;
  #copies = false;
  readonly #wire: Wire;
  /** Messages arrive in the order in which they were sent. */
  readonly #waiting: (() => void)[] = [];
  readonly #random;
  /** Numbers of the nodes by place in the roster. */
  order: number[] = [];

  constructor(options: RehearsalOptions, wire: Wire = honest) {
    const { members, words = 5, bits = 32, untrusted = [], seed = 'session' } = options;
    const { organisationOf = (node) => (members > 128 && node === 1 ? 'hospital' : 'library') } = options;
    this.#wire = wire;
    this.#random = createSeededRandom(seed);
    this.bits = bits;
    this.words = words;
    this.coordinator = createIdentity(this.bytes(32)).identity;
    const identities = Array.from({ length: members }, () => createIdentity(this.bytes(32)).identity);
    const directory: Directory = new Map(
      identities.map(({ publicKey }, node) => [
        hex(nodeIdOf(publicKey)),
        { identityKey: publicKey, trusted: !untrusted.includes(node), organisation: organisationOf(node) },
      ]),
    );
    const loaded = { baseHash: named('base'), adapterHash: named('adapter'), layoutHash: named('layout') };
    const beaconRandoms = identities.slice(0, 2).map(() => this.bytes(32));
    const offer: BodyInit<'offer'> = {
      roundId: zeros,
      sessionId: zeros,
      index: noPlace,
      runId: named('run').subarray(0, 16),
      round: 3,
      previousResult: loaded.adapterHash,
      logSize: 1n,
      logRoot: named('log'),
      specHash: named('spec'),
      ...loaded,
      words,
      bits,
      scale: 65_536,
      clipNormL2: 1,
      weightCap: 1,
      noiseMultiplier: 0,
      noisyHonest: 0,
      minMembers: 3,
      maxMembers: members,
      colludingShare: 1000,
      droppingShare: members <= 128 ? 3000 : 1000,
      leastColluders: members === 3 ? 0 : 1,
      smallestSurvivors: 2,
      beacons: beaconRandoms.map((random, node) => ({
        beaconKey: identities[node]!.publicKey,
        commitment: sha256Bytes(random),
      })),
      deadlines: { advertMs: 1000, sharesMs: 1000, inputMs: 1000, cutAckMs: 1000, openingMs: 1000 },
      ...options.offer,
    };
    this.serverOptions = {
      offer,
      loaded,
      directory,
      invited: members,
    };
    this.nodes = identities.map((identity, node) => {
      const knowledge: NodeKnowledge = {
        coordinatorKey: this.coordinator.publicKey,
        identityKey: identity.publicKey,
        directory,
        loaded,
        expectedAdapterHash: loaded.adapterHash,
        runId: offer.runId,
        round: offer.round,
        ...options.trainedFor,
        lastRound: 2,
        checkpoint: { size: 1, root: named('log') },
        policy: {
          leastColluders: offer.leastColluders,
          leastHonest: 1,
          leastOrganisations: 1,
          acceptsSmallCohort: true,
          ...options.policy,
        },
      };
      const update = ringWords(bits, words);
      for (let i = 0; i < words; i++) update[i] = this.#random.uint32();
      reduceWords(update, bits);
      return {
        identity,
        update,
        state: newNode(),
        effects: [],
        journal: [],
        states: [],
        sent: [],
        options: {
          knowledge,
          sign: (message) => identity.sign(message),
          beaconRandom: beaconRandoms[node],
          ...(options.checks && { checks: options.checks }),
        },
      };
    });
  }

  /** As the coordinator. */
  sign(body: Uint8Array): Signed {
    return { body, signature: this.coordinator.sign(signedMessage(body)) };
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.integer(256));
  }

  /** Everything that can happen without a deadline. */
  begin(): this {
    this.toServer({ kind: 'begin' });
    this.settle();
    return this;
  }

  /** Everything that can happen without a deadline, then the deadlines, until the server's session ends. */
  run(): this {
    this.begin();
    for (let deadlines = 0; this.server.phase !== 'ended' && deadlines < 8; deadlines++) {
      this.now += 1001;
      this.toServer({ kind: 'tick' });
      this.settle();
    }
    return this;
  }

  toServer(event: ServerEvent): void {
    if (this.#copies && event.kind === 'keyAdvert') return this.#acceptCopy(event.signed);
    const step = stepServer(this.serverOptions, this.server, event, this.now);
    this.server = step.state;
    this.effects.push(...step.effects);
    for (const effect of step.effects) this.#serve(effect);
  }

  /** Holds the adverts back until the roster can be written by hand. */
  #acceptCopy(signed: Signed): void {
    const adverts = new Map(this.server.adverts).set(hex(decodeBody('keyAdvert', signed.body).nodeId), signed);
    this.server = { ...this.server, adverts };
    if (adverts.size < this.nodes.length) return;
    this.#copies = false;
    this.toServer({ kind: 'deadline' });
  }

  /** What a node takes in, past the wire. */
  toNode(number: number, event: NodeEvent): void {
    const node = this.nodes[number]!;
    const step = stepNode(node.options, node.state, event, this.now, (length) => this.bytes(length));
    node.state = step.state;
    node.states.push(step.state);
    node.effects.push(...step.effects);
    for (const effect of step.effects) this.#act(number, effect);
  }

  #serve(effect: ServerEffect): void {
    if (effect.kind === 'sendToAll') {
      if (effect.name === 'roster') this.#orderNodes();
      this.nodes.forEach((_, number) => this.#deliver(number, toNodeEvent(effect.name, this.sign(effect.body))));
    } else if (effect.kind === 'send') {
      const event =
        effect.name === 'cut'
          ? { kind: 'cut' as const, signed: this.sign(effect.body), proof: effect.proof! }
          : toNodeEvent(effect.name, this.sign(effect.body));
      this.#deliver(this.order[effect.place]!, event);
    } else if (effect.kind === 'unmask') {
      this.sum = ringWords(effect.bits, effect.words);
      for (const { summed, terms } of effect.shards) {
        for (const place of summed) add(this.sum, this.nodes[this.order[place]!]!.masked!);
        applyTerms(this.sum, terms);
      }
      reduceWords(this.sum, effect.bits);
      this.toServer({ kind: 'unmasked' });
    }
  }

  #orderNodes(): void {
    const places = [...this.server.adverts.keys()].toSorted();
    this.order = places.map((id) =>
      this.nodes.findIndex(({ options }) => hex(nodeIdOf(options.knowledge.identityKey)) === id),
    );
  }

  #deliver(node: number, event: NodeEvent | undefined): void {
    if (!event) return;
    this.#waiting.push(() => {
      for (const arriving of this.#wire({ node, event, to: 'node' }, this)) this.toNode(node, arriving as NodeEvent);
    });
  }

  #act(number: number, effect: NodeEffect): void {
    const node = this.nodes[number]!;
    if (effect.kind === 'journal') node.journal.push(effect.event);
    if (effect.kind === 'mask') {
      node.masked = ringWords(effect.bits, effect.words);
      node.masked.set(node.update);
      applyTerms(node.masked, effect.terms);
      reduceWords(node.masked, effect.bits);
      const bytes = new Uint8Array(node.masked.buffer);
      this.toNode(number, { kind: 'masked', chunkRoot: sha256Bytes(bytes), lengthBytes: bytes.length });
    }
    if (effect.kind === 'send') {
      node.sent.push(effect);
      const event = toServerEvent(effect.name, effect.signed);
      if (!event) return;
      this.#waiting.push(() => {
        for (const arriving of this.#wire({ node: number, event, to: 'server' }, this))
          this.toServer(arriving as ServerEvent);
      });
    }
  }

  /** Carries every message that waits, and those that they cause. */
  settle(): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next();
  }

  /** What the members at these places put in, in the clear. */
  exactSum(places: readonly number[]): RingWords {
    const sum = ringWords(this.bits, this.words);
    for (const place of places) add(sum, this.nodes[this.order[place]!]!.update);
    reduceWords(sum, this.bits);
    return sum;
  }

  idBytes(node: number): Uint8Array {
    return nodeIdOf(this.nodes[node]!.identity.publicKey);
  }

  /** A coordinator that lets one member copy another's keys. */
  acceptCopies(): this {
    this.#copies = true;
    return this;
  }

  idOf(node: number): string {
    return hex(nodeIdOf(this.nodes[node]!.identity.publicKey));
  }

  outcome(): Extract<ServerEffect, { kind: 'finished' | 'aborted' }> | undefined {
    return this.effects.find((effect) => effect.kind === 'finished' || effect.kind === 'aborted');
  }
}

function add(sum: RingWords, words: RingWords): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += words[i]!;
}

export function applyTerms(words: RingWords, terms: readonly MaskTerm[]): void {
  addMasks(words, terms);
}

function toNodeEvent(name: BodyName, signed: Signed): NodeEvent | undefined {
  switch (name) {
    case 'offer':
      return { kind: 'offer', signed, consistency: [] };
    case 'roster':
    case 'shardSeed':
    case 'shareDelivery':
    case 'unmask':
      return { kind: name, body: signed.body };
    case 'abort':
      return { kind: 'abort' };
    default:
      return undefined;
  }
}

function toServerEvent(name: BodyName, signed: Signed): ServerEvent | undefined {
  switch (name) {
    case 'keyAdvert':
    case 'reveal':
    case 'shares':
    case 'complaint':
    case 'cutAck':
    case 'opening':
      return { kind: name, signed };
    case 'maskedInput':
      return { kind: name, signed, loggedByMs: 0n };
    default:
      return undefined;
  }
}
