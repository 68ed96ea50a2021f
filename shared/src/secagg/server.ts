import { inclusionProof, leafHash, merkleRoot } from '../merkle-tree.ts';
import {
  type Body,
  type BodyInit,
  type BodyName,
  type cutProofLayout,
  decodeBody,
  encodeBody,
  noPlace,
  roundIdOf,
  type ModelHashes,
  type Signed,
} from './bodies.ts';
import { type ValueOf } from './byte-layout.ts';
import { agree, maskSeed, selfMaskSeed, sha256Bytes, x25519PublicKey } from './keys.ts';
import { cutHashOf, type MaskTerm, membersOf, placesOf, sharingHashOf } from './node.ts';
import {
  type Directory,
  hex,
  noShardSeed,
  openSigned,
  rosterRootOf,
  sameBytes,
  type Session,
  sessionOf,
  type Shard,
  shardSeedOf,
  signedMessage,
  sizesOfOffer,
} from './session.ts';
import { combineShares, weightsAtZero } from './shamir.ts';

/**
 * The coordinator's side of one session, as a pure machine: it collects, fixes the cut, and takes the masks off the
 * sum. It never sees an update in the clear, and a member that lies about its secrets is named.
 */
export type ServerPhase = 'keys' | 'shards' | 'shares' | 'collecting' | 'cutting' | 'opening' | 'unmasking' | 'ended';

export type ServerEvent =
  | { readonly kind: 'begin' }
  | { readonly kind: 'keyAdvert' | 'reveal' | 'shares' | 'complaint' | 'cutAck' | 'opening'; readonly signed: Signed }
  /** The vector has arrived whole, and its length and root are those of the signed body. */
  | { readonly kind: 'maskedInput'; readonly signed: Signed; readonly loggedByMs: bigint }
  | { readonly kind: 'unmasked' }
  | { readonly kind: 'tick' };

export interface ShardOpening {
  /** Members whose inputs are added. */
  readonly summed: readonly number[];
  /** What takes the masks off their sum. */
  readonly terms: readonly MaskTerm[];
}

export type ServerEffect =
  | { readonly kind: 'journal'; readonly event: ServerEvent }
  | { readonly kind: 'sendToAll'; readonly name: BodyName; readonly signed: Signed }
  | {
      readonly kind: 'send';
      readonly place: number;
      readonly name: BodyName;
      readonly signed: Signed;
      readonly proof?: ValueOf<typeof cutProofLayout>;
    }
  | { readonly kind: 'log'; readonly leaf: 'roster' | 'cut' | 'open' | 'abort'; readonly bytes: Uint8Array }
  /** Add the inputs of each shard, add its terms, and answer `unmasked`. */
  | { readonly kind: 'unmask'; readonly bits: number; readonly words: number; readonly shards: readonly ShardOpening[] }
  | { readonly kind: 'finished'; readonly summed: readonly number[]; readonly leftOut: readonly number[] }
  /** `blamed` are left out of the next try; `evidence` shows why. */
  | { readonly kind: 'aborted'; readonly reason: string; readonly blamed: readonly Blame[] };

export interface Blame {
  /** In hex. */
  readonly nodeId: string;
  readonly because: string;
  readonly evidence: readonly Signed[];
}

export interface ServerState {
  readonly phase: ServerPhase;
  readonly since: number;
  readonly adverts: ReadonlyMap<string, Signed>;
  readonly roster?: { readonly adverts: readonly Signed[]; readonly root: Uint8Array };
  readonly reveals: ReadonlyMap<string, Signed>;
  readonly session?: Session;
  readonly shares: ReadonlyMap<number, { readonly signed: Signed; readonly body: Body<'shares'> }>;
  readonly complaints: readonly Signed[];
  readonly inputs: ReadonlyMap<number, Signed>;
  readonly cut?: { readonly bytes: Uint8Array; readonly hash: Uint8Array; readonly surviving: readonly boolean[] };
  readonly acks: ReadonlyMap<number, Uint8Array>;
  readonly openings: ReadonlyMap<number, { readonly signed: Signed; readonly body: Body<'opening'> }>;
  readonly blamed: readonly Blame[];
}

export interface ServerOptions {
  readonly offer: BodyInit<'offer'>;
  readonly loaded: ModelHashes;
  readonly directory: Directory;
  /** Nodes that were offered the session: with all of them heard, no deadline is waited for. */
  readonly invited: number;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

export interface ServerStep {
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

export const newServer = (): ServerState => ({
  phase: 'keys',
  since: 0,
  adverts: new Map(),
  reveals: new Map(),
  shares: new Map(),
  complaints: [],
  inputs: new Map(),
  acks: new Map(),
  openings: new Map(),
  blamed: [],
});

/** @param now milliseconds on a monotonic clock */
export function stepServer(options: ServerOptions, state: ServerState, event: ServerEvent, now: number): ServerStep {
  if (state.phase === 'ended') return { state, effects: [] };
  return new ServerMachine(options, state, now).take(event);
}

class ServerMachine {
  readonly #options: ServerOptions;
  readonly #state: ServerState;
  readonly #now: number;
  readonly #offerBytes: Uint8Array;

  constructor(options: ServerOptions, state: ServerState, now: number) {
    this.#options = options;
    this.#state = state;
    this.#now = now;
    this.#offerBytes = encodeBody('offer', options.offer);
  }

  take(event: ServerEvent): ServerStep {
    switch (event.kind) {
      case 'begin':
        return this.#keep(event, { since: this.#now }, [this.#broadcast('offer', this.#offerBytes)]);
      case 'keyAdvert':
        return this.#advert(event);
      case 'reveal':
        return this.#reveal(event);
      case 'shares':
        return this.#shares(event);
      case 'complaint':
        return this.#keep(event, { complaints: [...this.#state.complaints, event.signed] });
      case 'maskedInput':
        return this.#input(event);
      case 'cutAck':
        return this.#ack(event);
      case 'opening':
        return this.#opening(event);
      case 'unmasked':
        return this.#finish(event);
      case 'tick':
        return this.#now - this.#state.since > this.#deadlineMs() ? this.#deadline() : this.#stay();
    }
  }

  #stay(): ServerStep {
    return { state: this.#state, effects: [] };
  }

  #keep(event: ServerEvent, changed: Partial<ServerState>, effects: ServerEffect[] = []): ServerStep {
    return { state: { ...this.#state, ...changed }, effects: [{ kind: 'journal', event }, ...effects] };
  }

  /** The event is kept, and what it completes begins. */
  #then(event: ServerEvent, changed: Partial<ServerState>, next: (machine: ServerMachine) => ServerStep): ServerStep {
    const kept = this.#keep(event, changed);
    const step = next(new ServerMachine(this.#options, kept.state, this.#now));
    return { state: step.state, effects: [...kept.effects, ...step.effects] };
  }

  #enter(phase: ServerPhase, changed: Partial<ServerState>, effects: ServerEffect[]): ServerStep {
    return { state: { ...this.#state, ...changed, phase, since: this.#now }, effects };
  }

  #abort(reason: string, blamed: readonly Blame[] = []): ServerStep {
    const all = [...this.#state.blamed, ...blamed];
    const bytes = encodeBody('abort', { ...this.#header(), reason: 0 });
    return this.#enter('ended', { blamed: all }, [
      this.#broadcast('abort', bytes),
      { kind: 'log', leaf: 'abort', bytes },
      { kind: 'aborted', reason, blamed: all },
    ]);
  }

  #sign(bytes: Uint8Array): Signed {
    return { body: bytes, signature: this.#options.sign(signedMessage(bytes)) };
  }

  #broadcast(name: BodyName, bytes: Uint8Array): ServerEffect {
    return { kind: 'sendToAll', name, signed: this.#sign(bytes) };
  }

  /** Of a message to the whole cohort: it carries the session id of the first shard. */
  #header(sessionId = this.#state.session?.shards[0]?.sessionId ?? noShardSeed, index = noPlace) {
    return { roundId: roundIdOf(this.#offerBytes), sessionId, index };
  }

  #deadlineMs(): number {
    const { advertMs, sharesMs, inputMs, cutAckMs, openingMs } = this.#options.offer.deadlines;
    const limits: Record<ServerPhase, number> = {
      keys: advertMs,
      shards: advertMs,
      shares: sharesMs,
      collecting: inputMs,
      cutting: cutAckMs,
      opening: openingMs,
      unmasking: Number.POSITIVE_INFINITY,
      ended: Number.POSITIVE_INFINITY,
    };
    return limits[this.#state.phase];
  }

  #deadline(): ServerStep {
    switch (this.#state.phase) {
      case 'keys':
        return this.#fixRoster();
      case 'shards':
        return this.#abort('a beacon did not reveal');
      case 'shares':
        return this.#deliver();
      case 'collecting':
        return this.#fixCut();
      case 'cutting':
        return this.#abort(
          `${this.#state.acks.size} members signed the cut, ${this.#state.session!.sizes.cutThreshold} are needed`,
        );
      case 'opening':
        return this.#unmask();
      case 'unmasking':
      case 'ended':
        return this.#stay();
    }
  }

  #advert(event: ServerEvent & { signed: Signed }): ServerStep {
    if (this.#state.phase !== 'keys') return this.#stay();
    const [member] = membersOf([event.signed], this.#options) ?? [];
    if (!member) return this.#stay();
    const { advert, identityKey } = member;
    const nodeId = hex(advert.nodeId);
    const opened = openSigned('keyAdvert', event.signed, identityKey);
    const fresh = opened && sameBytes(advert.roundId, roundIdOf(this.#offerBytes)) && !this.#state.adverts.has(nodeId);
    if (!fresh || this.#keysTaken(advert) || this.#state.adverts.size >= this.#options.offer.maxMembers)
      return this.#stay();
    const adverts = new Map(this.#state.adverts).set(nodeId, event.signed);
    return adverts.size >= Math.min(this.#options.invited, this.#options.offer.maxMembers)
      ? this.#then(event, { adverts }, (machine) => machine.#fixRoster())
      : this.#keep(event, { adverts });
  }

  #keysTaken({ shareKey, maskKey }: Body<'keyAdvert'>): boolean {
    if (sameBytes(shareKey, maskKey)) return true;
    const wanted = new Set([hex(shareKey), hex(maskKey)]);
    return [...this.#state.adverts.values()].some(({ body }) => {
      const taken = decodeBody('keyAdvert', body);
      return wanted.has(hex(taken.shareKey)) || wanted.has(hex(taken.maskKey));
    });
  }

  #fixRoster(): ServerStep {
    const { offer } = this.#options;
    const adverts = [...this.#state.adverts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, signed]) => signed);
    if (adverts.length < offer.minMembers)
      return this.#abort(`${adverts.length} nodes sent keys, ${offer.minMembers} are needed`);
    const sizes = sizesOfOffer({ ...offer, version: 0, type: 0 }, adverts.length);
    if ('refusal' in sizes) return this.#abort(sizes.refusal);
    const root = rosterRootOf(adverts);
    const bytes = encodeBody('roster', { ...this.#header(noShardSeed), rosterRoot: root, adverts });
    const effects: ServerEffect[] = [{ kind: 'log', leaf: 'roster', bytes: root }, this.#broadcast('roster', bytes)];
    const roster = { adverts, root };
    if (sizes.shards.length > 1) return this.#enter('shards', { roster }, effects);
    return this.#enter('shares', { roster, session: this.#session(roster.adverts, noShardSeed) }, effects);
  }

  #session(adverts: readonly Signed[], shardSeed: Uint8Array): Session {
    const members = membersOf(adverts, this.#options)!;
    const sizes = sizesOfOffer({ ...this.#options.offer, version: 0, type: 0 }, members.length);
    if ('refusal' in sizes) throw new RangeError(sizes.refusal);
    return sessionOf(this.#offerBytes, { adverts, members, sizes, shardSeed, loaded: this.#options.loaded });
  }

  #reveal(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, roster } = this.#state;
    if (phase !== 'shards') return this.#stay();
    const { beacons } = this.#options.offer;
    const beacon = beacons.find(({ beaconKey, commitment }) => {
      const reveal = openSigned('reveal', event.signed, beaconKey);
      return reveal && sameBytes(reveal.rosterRoot, roster!.root) && sameBytes(sha256Bytes(reveal.random), commitment);
    });
    if (!beacon) return this.#stay();
    const reveals = new Map(this.#state.reveals).set(hex(beacon.beaconKey), event.signed);
    if (reveals.size < beacons.length) return this.#keep(event, { reveals });
    return this.#then(event, { reveals }, (machine) => machine.#fixShards());
  }

  #fixShards(): ServerStep {
    const { roster, reveals } = this.#state;
    const ordered = this.#options.offer.beacons.map(({ beaconKey }) => reveals.get(hex(beaconKey))!);
    const randoms = ordered.map(({ body }) => decodeBody('reveal', body).random);
    const bytes = encodeBody('shardSeed', { ...this.#header(noShardSeed), reveals: ordered });
    const session = this.#session(roster!.adverts, shardSeedOf(roster!.root, randoms));
    return this.#enter('shares', { session }, [this.#broadcast('shardSeed', bytes)]);
  }

  /** A body of this session, signed by the member at its index. */
  #fromMember<N extends 'shares' | 'maskedInput' | 'cutAck' | 'opening'>(
    name: N,
    signed: Signed,
  ): { body: Body<N>; place: number; shard: Shard } | undefined {
    const { session } = this.#state;
    let place: number;
    try {
      place = decodeBody(name, signed.body).index;
    } catch {
      return undefined;
    }
    const member = session?.members[place];
    const body = member && openSigned(name, signed, member.identityKey);
    const shard = session?.shardOf[place];
    if (!body || !shard) return undefined;
    const ours = sameBytes(body.roundId, session.roundId) && sameBytes(body.sessionId, shard.sessionId);
    return ours ? { body, place, shard } : undefined;
  }

  #shares(event: ServerEvent & { signed: Signed }): ServerStep {
    if (this.#state.phase !== 'shares') return this.#stay();
    const from = this.#fromMember('shares', event.signed);
    if (!from || this.#state.shares.has(from.place) || from.body.sealed.length !== from.shard.places.length)
      return this.#stay();
    const shares = new Map(this.#state.shares).set(from.place, { signed: event.signed, body: from.body });
    return shares.size === this.#state.session!.members.length
      ? this.#then(event, { shares }, (machine) => machine.#deliver())
      : this.#keep(event, { shares });
  }

  #sharingIn(shard: Shard): number[] {
    return shard.places.filter((place) => this.#state.shares.has(place));
  }

  /** U1 of each shard is fixed; a shard with too few is left out. */
  #deliver(): ServerStep {
    const { session, shares } = this.#state;
    const effects: ServerEffect[] = [];
    for (const shard of session!.shards) {
      const sharing = this.#sharingIn(shard);
      if (sharing.length < shard.sizes.threshold) continue;
      const among = session!.members.map((_, place) => sharing.includes(place));
      for (const [rank, place] of shard.places.entries()) {
        if (!shares.has(place)) continue;
        const sealed = sharing.map((dealer) => shares.get(dealer)!.body.sealed[rank]!);
        const bytes = encodeBody('shareDelivery', { ...this.#header(shard.sessionId, place), sharing: among, sealed });
        effects.push({ kind: 'send', place, name: 'shareDelivery', signed: this.#sign(bytes) });
      }
    }
    return effects.length === 0
      ? this.#abort(`${shares.size} members dealt their shares, too few in every shard`)
      : this.#enter('collecting', {}, effects);
  }

  #input(event: ServerEvent & { kind: 'maskedInput' }): ServerStep {
    if (this.#state.phase !== 'collecting') return this.#stay();
    const from = this.#fromMember('maskedInput', event.signed);
    if (!from || this.#state.inputs.has(from.place)) return this.#stay();
    const sharing = this.#sharingIn(from.shard);
    if (!sharing.includes(from.place) || !sameBytes(from.body.sharingHash, sharingHashOf(sharing))) return this.#stay();
    const inputs = new Map(this.#state.inputs).set(from.place, event.signed);
    const receipt = encodeBody('receipt', {
      ...this.#header(from.shard.sessionId, from.place),
      maskedInputHash: sha256Bytes(event.signed.body),
      loggedByMs: event.loggedByMs,
    });
    const answer: ServerEffect = { kind: 'send', place: from.place, name: 'receipt', signed: this.#sign(receipt) };
    const awaited = this.#state.session!.shards.flatMap((shard) =>
      this.#sharingIn(shard).length >= shard.sizes.threshold ? this.#sharingIn(shard) : [],
    );
    if (awaited.every((place) => inputs.has(place))) {
      const step = this.#then(event, { inputs }, (machine) => machine.#fixCut());
      return { state: step.state, effects: [step.effects[0]!, answer, ...step.effects.slice(1)] };
    }
    return this.#keep(event, { inputs }, [answer]);
  }

  /** Who is summed and who dropped, once and for all. */
  #fixCut(): ServerStep {
    const { session, inputs } = this.#state;
    const surviving = session!.members.map(() => false);
    const dropped = session!.members.map(() => false);
    for (const shard of session!.shards) {
      const sharing = this.#sharingIn(shard);
      const alive = sharing.filter((place) => inputs.has(place));
      const opens = alive.length >= shard.sizes.threshold;
      for (const place of sharing) (opens && inputs.has(place) ? surviving : dropped)[place] = true;
    }
    const summed = placesOf(surviving);
    if (summed.length < session!.sizes.cutThreshold) {
      return this.#abort(`${summed.length} members sent an input, ${session!.sizes.cutThreshold} must survive`);
    }
    const leaves = summed.map((place) => leafHash(inputs.get(place)!.body));
    const bytes = encodeBody('cut', { ...this.#header(), surviving, dropped, inputRoot: merkleRoot(leaves) });
    const signed = this.#sign(bytes);
    const sends = summed.map((place, rank): ServerEffect => ({
      kind: 'send',
      place,
      name: 'cut',
      signed,
      proof: { place: rank, proof: inclusionProof(leaves, rank) },
    }));
    return this.#enter('cutting', { cut: { bytes, hash: cutHashOf(bytes), surviving } }, [
      { kind: 'log', leaf: 'cut', bytes },
      ...sends,
    ]);
  }

  #ack(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, session, cut } = this.#state;
    if (phase !== 'cutting') return this.#stay();
    const from = this.#fromMember('cutAck', event.signed);
    if (
      !from ||
      this.#state.acks.has(from.place) ||
      !cut!.surviving[from.place] ||
      !sameBytes(from.body.cutHash, cut!.hash)
    )
      return this.#stay();
    const acks = new Map(this.#state.acks).set(from.place, event.signed.signature);
    if (acks.size < session!.sizes.cutThreshold) return this.#keep(event, { acks });
    return this.#then(event, { acks }, (machine) => machine.#askToOpen());
  }

  #askToOpen(): ServerStep {
    const { cut, acks } = this.#state;
    const signatures = [...acks].toSorted(([a], [b]) => a - b).map(([index, signature]) => ({ index, signature }));
    const bytes = encodeBody('unmask', { ...this.#header(), cutHash: cut!.hash, acks: signatures });
    const signed = this.#sign(bytes);
    return this.#enter(
      'opening',
      {},
      placesOf(cut!.surviving).map((place) => ({ kind: 'send', place, name: 'unmask', signed })),
    );
  }

  #opening(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, session, cut } = this.#state;
    if (phase !== 'opening') return this.#stay();
    const from = this.#fromMember('opening', event.signed);
    if (
      !from ||
      this.#state.openings.has(from.place) ||
      !cut!.surviving[from.place] ||
      !sameBytes(from.body.cutHash, cut!.hash)
    )
      return this.#stay();
    const bad = this.#badShare(from);
    if (bad !== undefined) {
      const blame: Blame = {
        nodeId: hex(session!.members[from.place]!.advert.nodeId),
        because: `its share of member ${bad} is not the one that was dealt`,
        evidence: [event.signed, this.#state.shares.get(bad)!.signed],
      };
      return this.#keep(event, { blamed: [...this.#state.blamed, blame] });
    }
    const openings = new Map(this.#state.openings).set(from.place, { signed: event.signed, body: from.body });
    const waiting = session!.shards.some((shard) => {
      const open = shard.places.filter((place) => openings.has(place)).length;
      return shard.places.some((place) => cut!.surviving[place]) && open < shard.sizes.threshold;
    });
    return waiting ? this.#keep(event, { openings }) : this.#then(event, { openings }, (machine) => machine.#unmask());
  }

  /** The first dealer whose share does not have the hash that the dealer signed. */
  #badShare({ body, place, shard }: { body: Body<'opening'>; place: number; shard: Shard }): number | undefined {
    const sharing = this.#sharingIn(shard);
    const rank = shard.places.indexOf(place);
    if (body.shares.length !== sharing.length) return sharing[0];
    return sharing.find((dealer, k) => {
      const { selfShareHash, maskShareHash } = this.#state.shares.get(dealer)!.body.sealed[rank]!;
      return !sameBytes(
        sha256Bytes(body.shares[k]!),
        this.#state.cut!.surviving[dealer] ? selfShareHash : maskShareHash,
      );
    });
  }

  /** From t openings of each shard, the secrets of every dealer; a secret that misses its commitment names the dealer. */
  #unmask(): ServerStep {
    const { session, cut, openings } = this.#state;
    const shards: ShardOpening[] = [];
    const blamed: Blame[] = [];
    const leftOut: number[] = [];
    for (const shard of session!.shards) {
      if (!shard.places.some((place) => cut!.surviving[place])) continue;
      const openers = shard.places.filter((place) => openings.has(place)).slice(0, shard.sizes.threshold);
      if (openers.length < shard.sizes.threshold) {
        leftOut.push(...shard.places);
        continue;
      }
      const opened = this.#openShard(shard, openers);
      if ('terms' in opened) shards.push(opened);
      else blamed.push(...opened.blamed);
    }
    if (blamed.length > 0) return this.#abort('a member dealt shares of a secret that is not its own', blamed);
    if (shards.length === 0) return this.#abort(`${openings.size} members opened, too few in every shard`);
    const { bits, words } = this.#options.offer;
    return this.#enter('unmasking', {}, [{ kind: 'unmask', bits, words, shards }]);
  }

  #openShard(shard: Shard, openers: readonly number[]): ShardOpening | { blamed: Blame[] } {
    const { session, cut, shares, openings } = this.#state;
    const weights = weightsAtZero(openers.map((place) => shard.places.indexOf(place)));
    const sharing = this.#sharingIn(shard);
    const summed = sharing.filter((place) => cut!.surviving[place]);
    const terms: MaskTerm[] = [];
    const blamed: Blame[] = [];
    for (const [k, dealer] of sharing.entries()) {
      const secret = combineShares(
        openers.map((place) => openings.get(place)!.body.shares[k]!),
        weights,
      );
      const { advert } = session!.members[dealer]!;
      const { signed, body } = shares.get(dealer)!;
      const own = cut!.surviving[dealer]
        ? sameBytes(sha256Bytes(secret), body.selfCommitment)
        : sameBytes(x25519PublicKey(secret), advert.maskKey);
      if (!own) {
        blamed.push({ nodeId: hex(advert.nodeId), because: 'it dealt shares of another secret', evidence: [signed] });
        continue;
      }
      if (cut!.surviving[dealer]) {
        terms.push({ seed: selfMaskSeed(secret, shard.sessionId, dealer), sign: -1 });
        continue;
      }
      for (const member of summed) {
        const agreed = agree(secret, session!.members[member]!.advert.maskKey);
        if (!agreed) continue;
        // The survivor added +PRG where the dropped place is above its own.
        terms.push({ seed: maskSeed(agreed, shard.sessionId, dealer, member), sign: dealer > member ? -1 : 1 });
      }
    }
    return blamed.length > 0 ? { blamed } : { summed, terms };
  }

  #finish(event: ServerEvent): ServerStep {
    const { phase, session, cut, openings } = this.#state;
    if (phase !== 'unmasking') return this.#stay();
    const summed: number[] = [];
    const leftOut: number[] = [];
    for (const shard of session!.shards) {
      const open = shard.places.filter((place) => openings.has(place)).length >= shard.sizes.threshold;
      for (const place of shard.places) if (cut!.surviving[place]) (open ? summed : leftOut).push(place);
    }
    const step = this.#enter('ended', {}, [{ kind: 'finished', summed: summed.toSorted((a, b) => a - b), leftOut }]);
    return { state: step.state, effects: [{ kind: 'journal', event }, ...step.effects] };
  }
}
