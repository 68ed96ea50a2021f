import { createHash } from 'node:crypto';
import { createIdentity, createSeededRandom, type Identity, secagg } from '@weft/shared';

/** A whole session of secure aggregation in this process: the product's machines, and whoever watches what passes. */

/** From this step on nothing of a member arrives. */
export type DropStep = 'shares' | 'maskedInput' | 'cutAck' | 'opening';
const dropSteps: readonly string[] = ['shares', 'maskedInput', 'cutAck', 'opening'] satisfies DropStep[];

export interface Passed {
  /** A place in the roster. */
  readonly from: number | 'coordinator';
  readonly to: number | 'coordinator' | 'all';
  readonly name: secagg.BodyName;
  readonly signed: secagg.Signed;
  readonly proof?: Uint8Array;
}

export interface SessionOptions {
  readonly members: number;
  readonly words: number;
  readonly bits: number;
  readonly seed: string;
  readonly offer?: Partial<secagg.BodyInit<'offer'>>;
  readonly drops: ReadonlyMap<number, DropStep>;
  readonly checks?: ((place: number) => typeof secagg.nodeChecks) | undefined;
  /** Masks the update of the member at `place`. */
  readonly mask: (
    place: number,
    effect: Extract<secagg.NodeEffect, { kind: 'mask' }>,
  ) => { readonly chunkRoot: Uint8Array; readonly lengthBytes: number };
  readonly unmask: (shards: readonly secagg.ShardOpening[]) => void;
  readonly passed?: (message: Passed) => void;
  /** Each event and the state that it meets. */
  readonly met?: (meeting: Meeting) => void;
  /** Every step of a machine runs inside; a bench takes its time. */
  readonly around?: <T>(who: number | 'coordinator', step: string, work: () => T) => T;
}

export type Meeting =
  | {
      readonly who: 'coordinator';
      readonly options: secagg.ServerOptions;
      readonly state: secagg.ServerState;
      readonly event: secagg.ServerEvent;
    }
  | {
      readonly who: number;
      readonly options: secagg.NodeOptions;
      readonly state: secagg.NodeState;
      readonly event: secagg.NodeEvent;
    };

export interface SessionMember {
  readonly identity: Identity;
  readonly identitySeed: Uint8Array;
  /** The one secret from which its keys of the session follow. */
  readonly secret: Uint8Array;
  readonly beaconRandom: Uint8Array | undefined;
}

const zeros = new Uint8Array(32);
const named = (name: string): Uint8Array => createHash('sha256').update(name).digest();
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class SessionInProcess {
  readonly coordinator: Identity;
  readonly coordinatorSeed: Uint8Array;
  /** By place in the roster. */
  readonly members: readonly SessionMember[];
  readonly offer: secagg.BodyInit<'offer'>;
  server: secagg.ServerState = secagg.newServer();
  outcome: Extract<secagg.ServerEffect, { kind: 'finished' | 'aborted' }> | undefined;
  readonly #options: SessionOptions;
  readonly #serverOptions: secagg.ServerOptions;
  readonly #nodeOptions: readonly secagg.NodeOptions[];
  readonly #nodes: secagg.NodeState[];
  readonly #toServer: secagg.ServerEvent[] = [];
  readonly #toNodes: { place: number; event: secagg.NodeEvent }[] = [];
  #now = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { members, words, bits } = options;
    const random = createSeededRandom(options.seed);
    const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.integer(256));
    this.coordinatorSeed = bytes(32);
    this.coordinator = createIdentity(this.coordinatorSeed).identity;
    const beacons = members > 128 ? 2 : 0;
    this.members = Array.from({ length: members }, () => createIdentity(bytes(32)))
      .toSorted((a, b) => Buffer.compare(nodeIdOf(a), nodeIdOf(b)))
      .map(({ identity, seed }, place) => ({
        identity,
        identitySeed: seed,
        secret: bytes(32),
        beaconRandom: place < beacons ? bytes(32) : undefined,
      }));
    const directory: secagg.Directory = new Map(
      this.members.map(({ identity }) => [
        hex(nodeIdOf({ identity })),
        { identityKey: identity.publicKey, trusted: true },
      ]),
    );
    const loaded = { baseHash: named('base'), adapterHash: named('adapter'), layoutHash: named('layout') };
    this.offer = {
      roundId: zeros,
      sessionId: zeros,
      index: secagg.noPlace,
      runId: named('run').subarray(0, 16),
      round: 3,
      previousResult: loaded.adapterHash,
      logSize: 1n,
      logRoot: named('log'),
      specHash: named('spec'),
      ...loaded,
      words,
      bits,
      scale: 32_767.5,
      clipNormL2: 1,
      weightCap: 1,
      noiseMultiplier: 0,
      noisyHonest: 0,
      minMembers: 3,
      maxMembers: members,
      colludingShare: 1000,
      droppingShare: 3000,
      leastColluders: members === 3 ? 0 : 1,
      smallestSurvivors: 1,
      beacons: this.members.slice(0, beacons).map(({ identity, beaconRandom }) => ({
        beaconKey: identity.publicKey,
        commitment: createHash('sha256').update(beaconRandom!).digest(),
      })),
      deadlines: { advertMs: 1000, sharesMs: 1000, inputMs: 1000, cutAckMs: 1000, openingMs: 1000 },
      ...options.offer,
    };
    this.#serverOptions = { offer: this.offer, loaded, directory, invited: members };
    this.#nodes = this.members.map(() => secagg.newNode());
    this.#nodeOptions = this.members.map(({ identity, beaconRandom }, place) => ({
      knowledge: {
        coordinatorKey: this.coordinator.publicKey,
        identityKey: identity.publicKey,
        directory,
        loaded,
        expectedAdapterHash: loaded.adapterHash,
        runId: this.offer.runId,
        round: this.offer.round,
        lastRound: 2,
        checkpoint: { size: 1, root: named('log') },
        policy: {
          leastColluders: this.offer.leastColluders,
          leastHonest: 1,
          leastOrganisations: 0,
          acceptsSmallCohort: true,
        },
      },
      sign: (message) => identity.sign(message),
      beaconRandom,
      checks: options.checks?.(place),
    }));
  }

  /** Everything that can happen without a deadline, then the deadlines, until the session ends. */
  run(): this {
    this.#serve({ kind: 'begin' });
    // Openings that came too late for the server are sent all the same.
    while (this.server.phase !== 'ended' || this.#toNodes.length > 0) {
      const event = this.#toServer.shift();
      const message = event ? undefined : this.#toNodes.shift();
      if (event) this.#serve(event);
      else if (message) this.#tell(message.place, message.event);
      else {
        this.#now += 1001;
        this.#serve({ kind: 'tick' });
      }
    }
    return this;
  }

  #around<T>(who: number | 'coordinator', step: string, work: () => T): T {
    return this.#options.around ? this.#options.around(who, step, work) : work();
  }

  #serve(event: secagg.ServerEvent): void {
    this.#options.met?.({ who: 'coordinator', options: this.#serverOptions, state: this.server, event });
    const step = this.#around('coordinator', event.kind, () =>
      secagg.stepServer(this.#serverOptions, this.server, event, this.#now),
    );
    this.server = step.state;
    for (const effect of step.effects) {
      if (effect.kind === 'finished' || effect.kind === 'aborted') this.outcome = effect;
      if (effect.kind === 'sendToAll') this.#send('all', effect);
      if (effect.kind === 'send') this.#send(effect.place, effect);
      if (effect.kind === 'unmask') {
        this.#options.unmask(effect.shards);
        this.#toServer.push({ kind: 'unmasked' });
      }
    }
  }

  #send(to: number | 'all', { name, body, proof }: secagg.ServerMessage): void {
    const signed = { body, signature: this.coordinator.sign(secagg.signedMessage(body)) };
    this.#options.passed?.({
      from: 'coordinator',
      to,
      name,
      signed,
      ...(proof && { proof: secagg.encode(secagg.cutProofLayout, proof) }),
    });
    for (const place of to === 'all' ? this.members.keys() : [to]) {
      if (name === 'offer')
        this.#toNodes.push({
          place,
          event: { kind: 'offer', signed, consistency: [], secret: this.members[place]!.secret },
        });
      if (name === 'roster' || name === 'shardSeed' || name === 'shareDelivery' || name === 'unmask')
        this.#toNodes.push({ place, event: { kind: name, body } });
      if (name === 'cut') this.#toNodes.push({ place, event: { kind: 'cut', signed, proof: proof! } });
      if (name === 'abort') this.#toNodes.push({ place, event: { kind: 'abort' } });
    }
  }

  #tell(place: number, event: secagg.NodeEvent): void {
    this.#options.met?.({ who: place, options: this.#nodeOptions[place]!, state: this.#nodes[place]!, event });
    const step = this.#around(place, event.kind, () =>
      secagg.stepNode(this.#nodeOptions[place]!, this.#nodes[place]!, event, this.#now, () => {
        throw new Error('the secret was given');
      }),
    );
    this.#nodes[place] = step.state;
    for (const effect of step.effects) {
      if (effect.kind === 'aborted') throw new Error(`member ${place} ended: ${effect.reason}`);
      if (effect.kind === 'mask') this.#tell(place, { kind: 'masked', ...this.#options.mask(place, effect) });
      if (effect.kind === 'send') this.#arrive(place, effect);
    }
  }

  #arrive(place: number, { name, signed }: Extract<secagg.NodeEffect, { kind: 'send' }>): void {
    const drop = this.#options.drops.get(place);
    const step = dropSteps.indexOf(name);
    if (drop !== undefined && step >= dropSteps.indexOf(drop)) return;
    this.#options.passed?.({ from: place, to: 'coordinator', name, signed });
    if (name === 'maskedInput') this.#toServer.push({ kind: name, signed, loggedByMs: 1_700_000_000_000n });
    if (name === 'keyAdvert' || name === 'reveal' || name === 'shares' || name === 'cutAck' || name === 'opening')
      this.#toServer.push({ kind: name, signed });
  }
}

const nodeIdOf = ({ identity }: { identity: Identity }): Uint8Array => secagg.nodeIdOf(identity.publicKey);
