import { leafHash, merkleRoot } from '../merkle-tree.ts';
import { withEntry } from '../persistent-map.ts';
import { type Body, decodeBody, encodeBody, roundIdOf, type Signed } from './bodies.ts';
import { isUsableKey } from './keys.ts';
import { cutHashOf, membersOf, placesOf, sharingHashOf } from './node-secrets.ts';
import { blameOfDealer, blameOfHolder } from './server-blame.ts';
import { headerOf, messagesToAll, messagesToEach, offerOf, receiptTo } from './server-messages.ts';
import { openCut, summedIn } from './server-opening.ts';
import {
  type Blame,
  awaitedInputs,
  isRevoked,
  openShards,
  type ServerEffect,
  type ServerEvent,
  type ServerOptions,
  type ServerPhase,
  type ServerState,
  type ServerStep,
  sharingIn,
} from './server-state.ts';
import { awaitedPlaces, deadlineMs, silentBeacons } from './server-waiting.ts';
import {
  beaconCommitment,
  hex,
  noShardSeed,
  openSigned,
  rosterRootOf,
  sameBytes,
  type Session,
  sessionOf,
  type Shard,
  shardSeedOf,
  sizesOfOffer,
} from './session.ts';

/**
 * The coordinator's side of one session, as a pure machine: it collects, fixes the cut, and finds what takes the masks
 * off the sum. It never sees an update in the clear, and a member that lies about its secrets is named. Its state
 * follows from the journalled events alone; whoever carries out its effects signs what it sends.
 *
 * @param now milliseconds on a monotonic clock
 */
export function stepServer(options: ServerOptions, state: ServerState, event: ServerEvent, now: number): ServerStep {
  if (state.phase === 'ended') return { state, effects: [] };
  return new ServerMachine(options, state, now).take(event);
}

class ServerMachine {
  readonly #options: ServerOptions;
  readonly #state: ServerState;
  readonly #now: number;

  constructor(options: ServerOptions, state: ServerState, now: number) {
    this.#options = options;
    this.#state = state;
    this.#now = now;
  }

  take(event: ServerEvent): ServerStep {
    switch (event.kind) {
      case 'begin':
        return this.#then(event, {}, (machine) => machine.#enter('keys', {}));
      case 'keyAdvert':
        return this.#advert(event);
      case 'reveal':
        return this.#reveal(event);
      case 'shares':
        return this.#shares(event);
      case 'complaint':
        return this.#complaint(event);
      case 'maskedInput':
        return this.#input(event);
      case 'cutAck':
        return this.#ack(event);
      case 'opening':
        return this.#opening(event);
      case 'unmasked':
        return this.#finish(event);
      case 'revoked':
        return this.#revoke(event);
      case 'deadline':
        return this.#then(event, {}, (machine) => machine.#deadline());
      case 'tick': {
        const limitMs = deadlineMs(this.#options, this.#state);
        return this.#now - this.#state.since > limitMs ? this.take({ kind: 'deadline' }) : this.#stay();
      }
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

  /** Begins a phase and tells everyone what belongs to it. */
  #enter(phase: ServerPhase, changed: Partial<ServerState>, effects: ServerEffect[] = []): ServerStep {
    const state = { ...this.#state, ...changed, phase, since: this.#now };
    const toAll = messagesToAll(this.#options, state);
    // Who heard the roster when the beacons were asked need not hear it again.
    const fresh = phase === 'shares' && toAll.length > 1 ? toAll.slice(1) : toAll;
    const toEach = messagesToEach(this.#options, state).map((message) => ({ kind: 'send' as const, ...message }));
    return {
      state,
      effects: [...effects, ...fresh.map((message) => ({ kind: 'sendToAll' as const, ...message })), ...toEach],
    };
  }

  #abort(reason: string, blamed: readonly Blame[] = []): ServerStep {
    const all = [...this.#state.blamed, ...blamed];
    const body = encodeBody('abort', { ...headerOf(this.#options, this.#state), reason: 0 });
    return this.#enter('ended', { blamed: all, abortedBecause: reason }, [
      { kind: 'log', leaf: 'abort', bytes: body },
      { kind: 'sendToAll', name: 'abort', body },
      { kind: 'aborted', reason, blamed: all },
    ]);
  }

  #deadline(): ServerStep {
    switch (this.#state.phase) {
      case 'keys':
        return this.#fixRoster();
      case 'shards':
        return this.#abort(`${silentBeacons(this.#options, this.#state).length} beacons did not reveal`);
      case 'shares':
        return this.#deliver();
      case 'collecting':
        return this.#fixCut();
      case 'cutting': {
        const { acks, session } = this.#state;
        return this.#abort(`${acks.size} members signed the cut, ${session!.sizes.cutThreshold} are needed`);
      }
      case 'opening':
        return this.#unmask();
      case 'unmasking':
      case 'ended':
        return this.#stay();
    }
  }

  #advert(event: ServerEvent & { signed: Signed }): ServerStep {
    const { adverts: known, phase } = this.#state;
    const { offer } = this.#options;
    if (phase !== 'keys') return this.#stay();
    const [member] = membersOf([event.signed], this.#options) ?? [];
    if (!member || !openSigned('keyAdvert', event.signed, member.identityKey)) return this.#stay();
    const { advert } = member;
    const nodeId = hex(advert.nodeId);
    const ours = sameBytes(advert.roundId, roundIdOf(offerOf(this.#options)));
    if (
      !ours ||
      known.has(nodeId) ||
      this.#state.revoked.has(nodeId) ||
      !keysFit(this.#state, advert) ||
      known.size >= offer.maxMembers
    )
      return this.#stay();
    const adverts = withEntry(known, nodeId, event.signed);
    const withShareKey = withEntry(this.#state.sessionKeys, hex(advert.shareKey), true as const);
    const sessionKeys = withEntry(withShareKey, hex(advert.maskKey), true as const);
    return this.#gather(event, { adverts, sessionKeys });
  }

  /** Once everyone who was invited has answered, the roster is fixed. */
  #gather(event: ServerEvent, changed: Partial<ServerState>): ServerStep {
    const { adverts, revoked } = { ...this.#state, ...changed };
    const { invited, offer } = this.#options;
    return adverts.size >= Math.min(invited - revoked.size, offer.maxMembers)
      ? this.#then(event, changed, (machine) => machine.#fixRoster())
      : this.#keep(event, changed);
  }

  #fixRoster(): ServerStep {
    const { offer } = this.#options;
    const adverts = [...this.#state.adverts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, signed]) => signed);
    if (adverts.length < offer.minMembers)
      return this.#abort(`${adverts.length} nodes sent keys, ${offer.minMembers} are needed`);
    const sizes = sizesOfOffer(offer, adverts.length);
    if ('refusal' in sizes) return this.#abort(sizes.refusal);
    const roster = { adverts, root: rosterRootOf(adverts) };
    const log: ServerEffect = { kind: 'log', leaf: 'roster', bytes: roster.root };
    if (sizes.shards.length > 1) {
      if (offer.beacons.length === 0) return this.#abort('several shards without a beacon');
      const silent = silentBeacons(this.#options, this.#state);
      if (silent.length > 0) return this.#abort(`${silent.length} beacons sent no keys`);
      return this.#enter('shards', { roster }, [log]);
    }
    return this.#enter('shares', { roster, session: this.#session(roster.adverts, noShardSeed) }, [log]);
  }

  #session(adverts: readonly Signed[], shardSeed: Uint8Array): Session {
    const members = membersOf(adverts, this.#options)!;
    const sizes = sizesOfOffer(this.#options.offer, members.length);
    if ('refusal' in sizes) throw new RangeError(sizes.refusal);
    return sessionOf(offerOf(this.#options), { adverts, members, sizes, shardSeed, loaded: this.#options.loaded });
  }

  #reveal(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, roster } = this.#state;
    if (phase !== 'shards') return this.#stay();
    const { beacons } = this.#options.offer;
    const beacon = beacons.find(({ beaconKey, commitment }) => {
      const reveal = openSigned('reveal', event.signed, beaconKey);
      return (
        reveal && sameBytes(reveal.rosterRoot, roster!.root) && sameBytes(beaconCommitment(reveal.random), commitment)
      );
    });
    if (!beacon || this.#state.reveals.has(hex(beacon.beaconKey))) return this.#stay();
    const reveals = new Map(this.#state.reveals).set(hex(beacon.beaconKey), event.signed);
    return reveals.size < beacons.length
      ? this.#keep(event, { reveals })
      : this.#then(event, { reveals }, (machine) => machine.#fixShards());
  }

  #fixShards(): ServerStep {
    const { roster, reveals } = this.#state;
    const randoms = this.#options.offer.beacons.map(
      ({ beaconKey }) => decodeBody('reveal', reveals.get(hex(beaconKey))!.body).random,
    );
    return this.#enter('shares', { session: this.#session(roster!.adverts, shardSeedOf(roster!.root, randoms)) });
  }

  /** A body of this session, signed by the member at its index. */
  #fromMember<N extends 'shares' | 'complaint' | 'maskedInput' | 'cutAck' | 'opening'>(
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
    if (!body || !shard || isRevoked(this.#state, place)) return undefined;
    const ours = sameBytes(body.roundId, session.roundId) && sameBytes(body.sessionId, shard.sessionId);
    return ours ? { body, place, shard } : undefined;
  }

  #shares(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, shares: known } = this.#state;
    const from = phase === 'shares' ? this.#fromMember('shares', event.signed) : undefined;
    if (!from || known.has(from.place) || from.body.sealed.length !== from.shard.places.length) return this.#stay();
    const shares = withEntry(known, from.place, { signed: event.signed, body: from.body });
    return this.#share(event, { shares });
  }

  /** Once everyone has dealt, U1 is fixed. */
  #share(event: ServerEvent, changed: Partial<ServerState>): ServerStep {
    const { session, shares, revoked } = { ...this.#state, ...changed };
    const { members } = session!;
    const gone = revoked.size === 0 ? 0 : members.filter(({ advert }) => revoked.has(hex(advert.nodeId))).length;
    return shares.size === members.length - gone
      ? this.#then(event, changed, (machine) => machine.#deliver())
      : this.#keep(event, changed);
  }

  /** U1 of each shard is fixed; a shard with too few is left out. */
  #deliver(): ServerStep {
    return openShards(this.#state).length === 0
      ? this.#abort(`${this.#state.shares.size} members dealt their shares, too few in every shard`)
      : this.#enter('collecting', {});
  }

  /** Once a member, in the place of its input, about what another of its shard dealt to it. */
  #complaint(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, complaints: known, inputs } = this.#state;
    const from = phase === 'collecting' ? this.#fromMember('complaint', event.signed) : undefined;
    if (!from || known.has(from.place) || inputs.has(from.place)) return this.#stay();
    const sharing = sharingIn(this.#state, from.shard);
    const { dealer, reason } = from.body;
    if (!sharing.includes(from.place) || !sharing.includes(dealer) || reason < 1 || reason > 2) return this.#stay();
    const complaints = withEntry(known, from.place, { signed: event.signed, body: from.body });
    const blame = blameOfDealer({ ...this.#state, complaints }, dealer, from.shard);
    return this.#collect(event, { complaints, ...(blame && { blamed: [...this.#state.blamed, blame] }) });
  }

  #input(event: ServerEvent & { kind: 'maskedInput' }): ServerStep {
    const { phase, inputs: known, complaints } = this.#state;
    const from = phase === 'collecting' ? this.#fromMember('maskedInput', event.signed) : undefined;
    if (!from || known.has(from.place) || complaints.has(from.place)) return this.#stay();
    const sharing = sharingIn(this.#state, from.shard);
    if (!sharing.includes(from.place) || !sameBytes(from.body.sharingHash, sharingHashOf(sharing))) return this.#stay();
    const inputs = withEntry(known, from.place, event.signed);
    const promised = withEntry(this.#state.promised, from.place, event.loggedByMs);
    const receipt = receiptTo(this.#options, { ...this.#state, inputs, promised }, from.place)!;
    return this.#collect(event, { inputs, promised }, [{ kind: 'send', place: from.place, ...receipt }]);
  }

  /** Once nobody is waited for, the cut is fixed. */
  #collect(event: ServerEvent, changed: Partial<ServerState>, effects: ServerEffect[] = []): ServerStep {
    const kept = this.#keep(event, changed, effects);
    const { inputs, complaints, revoked } = kept.state;
    if (inputs.size + complaints.size + revoked.size < awaitedInputs(kept.state).length) return kept;
    if (!awaitedPlaces(kept.state).next().done) return kept;
    const step = new ServerMachine(this.#options, kept.state, this.#now).#fixCut();
    return { state: step.state, effects: [...kept.effects, ...step.effects] };
  }

  /** Who is summed and who dropped, once and for all. */
  #fixCut(): ServerStep {
    const { session, inputs } = this.#state;
    const surviving = session!.members.map(() => false);
    const dropped = session!.members.map(() => false);
    for (const shard of session!.shards) {
      const sharing = sharingIn(this.#state, shard);
      const opens = sharing.filter((place) => inputs.has(place)).length >= shard.sizes.threshold;
      for (const place of sharing) (opens && inputs.has(place) ? surviving : dropped)[place] = true;
    }
    const summed = placesOf(surviving);
    const { cutThreshold } = session!.sizes;
    if (summed.length < cutThreshold) {
      const within = session!.shards.length > 1 ? `, ${summed.length} of them in shards that can be opened` : '';
      return this.#abort(`${inputs.size} members sent an input${within}; ${cutThreshold} must survive`);
    }
    const inputRoot = merkleRoot(summed.map((place) => leafHash(inputs.get(place)!.body)));
    const bytes = encodeBody('cut', { ...headerOf(this.#options, this.#state), surviving, dropped, inputRoot });
    return this.#enter('cutting', { cut: { bytes, hash: cutHashOf(bytes), surviving } }, [
      { kind: 'log', leaf: 'cut', bytes },
    ]);
  }

  /** A message about the cut, from someone who survives in it. */
  #fromSurvivor<N extends 'cutAck' | 'opening'>(name: N, signed: Signed) {
    const { cut } = this.#state;
    const from = this.#fromMember(name, signed);
    return from && cut!.surviving[from.place] && sameBytes(from.body.cutHash, cut!.hash) ? from : undefined;
  }

  #ack(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, session, acks: known } = this.#state;
    const from = phase === 'cutting' ? this.#fromSurvivor('cutAck', event.signed) : undefined;
    if (!from || known.has(from.place)) return this.#stay();
    const acks = withEntry(known, from.place, event.signed.signature);
    return acks.size < session!.sizes.cutThreshold
      ? this.#keep(event, { acks })
      : this.#then(event, { acks }, (machine) => machine.#enter('opening', {}));
  }

  #opening(event: ServerEvent & { signed: Signed }): ServerStep {
    const { phase, openings: known, badOpenings } = this.#state;
    const from = phase === 'opening' ? this.#fromSurvivor('opening', event.signed) : undefined;
    if (!from || known.has(from.place) || badOpenings.has(from.place)) return this.#stay();
    const blame = blameOfHolder(this.#state, { ...from, signed: event.signed });
    if (blame) {
      const changed = { blamed: [...this.#state.blamed, blame], badOpenings: new Set(badOpenings).add(from.place) };
      return this.#open(event, changed);
    }
    return this.#open(event, {
      openings: withEntry(known, from.place, { signed: event.signed, body: from.body }),
    });
  }

  /** Once each shard has as many openings as it will need, or will get, the masks come off. */
  #open(event: ServerEvent, changed: Partial<ServerState>): ServerStep {
    const { session, cut, openings, badOpenings } = { ...this.#state, ...changed };
    const isAwaited = (place: number): boolean =>
      cut!.surviving[place] === true && !openings.has(place) && !badOpenings.has(place);
    const waiting = session!.shards.some(
      ({ places, sizes }) =>
        places.filter((place) => openings.has(place)).length < sizes.threshold && places.some(isAwaited),
    );
    return waiting ? this.#keep(event, changed) : this.#then(event, changed, (machine) => machine.#unmask());
  }

  /**
   * What has come of it is dropped as if it had not. Only a cut that has it in it cannot change any more: too many may have
   * signed it, and without this member there is no other sum. Then there is none at all.
   */
  #revoke(event: ServerEvent & { kind: 'revoked' }): ServerStep {
    const { phase, session, adverts, shares, inputs, cut } = this.#state;
    const { nodeId } = event;
    if (this.#state.revoked.has(nodeId) || !this.#options.directory.has(nodeId)) return this.#stay();
    const revoked = new Set(this.#state.revoked).add(nodeId);
    const place = session?.members.findIndex(({ advert }) => hex(advert.nodeId) === nodeId) ?? -1;
    switch (phase) {
      case 'keys':
        return this.#gather(event, { revoked, adverts: omit(adverts, nodeId) });
      case 'shares':
        return this.#share(event, { revoked, shares: omit(shares, place) });
      case 'collecting':
        return this.#collect(event, { revoked, inputs: omit(inputs, place) });
      case 'cutting':
      case 'opening':
      case 'unmasking':
        return cut!.surviving[place]
          ? this.#then(event, { revoked }, (machine) => machine.#abort('a member was revoked after the cut was fixed'))
          : this.#keep(event, { revoked });
      case 'shards':
      case 'ended':
        return this.#keep(event, { revoked });
    }
  }

  #unmask(): ServerStep {
    const { shards, blamed } = openCut(this.#state);
    if (blamed.length > 0) return this.#abort('a member dealt shares of a secret that is not its own', blamed);
    if (shards.length === 0) return this.#abort(`${this.#state.openings.size} members opened, too few in every shard`);
    const { bits, words } = this.#options.offer;
    return this.#enter('unmasking', {}, [
      { kind: 'log', leaf: 'open', bytes: this.#state.cut!.hash },
      { kind: 'unmask', bits, words, shards },
    ]);
  }

  #finish(event: ServerEvent): ServerStep {
    if (this.#state.phase !== 'unmasking') return this.#stay();
    return this.#then(event, {}, (machine) =>
      machine.#enter('ended', {}, [{ kind: 'finished', ...summedIn(this.#state) }]),
    );
  }
}

function omit<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  const left = new Map(map);
  left.delete(key);
  return left;
}

/** As every node asks of the roster: one that lets such keys in sums nothing. */
function keysFit({ sessionKeys }: ServerState, { shareKey, maskKey }: Body<'keyAdvert'>): boolean {
  const keys = [shareKey, maskKey];
  return !sameBytes(shareKey, maskKey) && keys.every((key) => isUsableKey(key) && !sessionKeys.has(hex(key)));
}
