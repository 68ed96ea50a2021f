import {
  type Body,
  type BodyInit,
  type BodyName,
  decodeBody,
  encodeBody,
  noPlace,
  roundIdOf,
  type Signed,
} from './bodies.ts';
import { agreeWith, hkdf, sha256Bytes } from './keys.ts';
import { failedCheck, nodeChecks } from './node-checks.ts';
import {
  ackHolds,
  cutHashOf,
  dealShares,
  deriveSecrets,
  maskTerms,
  membersOf,
  openShares,
  placesOf,
  sharingHashOf,
} from './node-secrets.ts';
import type { NodeEffect, NodeEvent, NodeOptions, NodePhase, NodeState, NodeStep, Roster } from './node-state.ts';
import {
  beaconCommitment,
  nodeIdOf,
  noShardSeed,
  openSigned,
  sameBytes,
  sessionOf,
  shardSeedOf,
  signedMessage,
  sizesOfOffer,
  verifySigned,
} from './session.ts';

/**
 * A node's side of one session, as a pure machine. The driver persists what `journal` effects name before it carries
 * out the effects behind them, and replays the journalled events after a crash: the same bytes come out again, and
 * never others. (Bonawitz et al. 2017, active-adversary variant; what is our own composition stands in
 * docs/secagg-wire.md.)
 *
 * @param now milliseconds on a monotonic clock
 * @param random bytes from the system's generator; called once, for the secret from which all others of the session follow
 */
export function stepNode(
  options: NodeOptions,
  state: NodeState,
  event: NodeEvent,
  now: number,
  random: (length: number) => Uint8Array,
): NodeStep {
  if (state.phase === 'ended') return { state, effects: [] };
  const machine = new NodeMachine(options, state, now);
  return machine.take(event, random);
}

// A message that does not parse, or is of another session, is no reason to stop: anyone could send it.
const ignored: unique symbol = Symbol('ignored');

class NodeMachine {
  readonly #options: NodeOptions;
  readonly #state: NodeState;
  readonly #now: number;
  readonly #checks: typeof nodeChecks;

  constructor(options: NodeOptions, state: NodeState, now: number) {
    this.#options = options;
    this.#state = state;
    this.#now = now;
    this.#checks = options.checks ?? nodeChecks;
  }

  take(event: NodeEvent, random: (length: number) => Uint8Array): NodeStep {
    switch (event.kind) {
      case 'offer':
        return this.#offer(event, random);
      case 'roster':
        return this.#roster(event);
      case 'shardSeed':
        return this.#shardSeed(event);
      case 'shareDelivery':
        return this.#delivery(event);
      case 'masked':
        return this.#masked(event);
      case 'cut':
        return this.#cut(event);
      case 'unmask':
        return this.#unmask(event);
      case 'done':
        return this.#state.phase === 'opened' ? this.#end('done') : this.#stay();
      case 'abort':
        return this.#end('aborted by the coordinator');
      case 'tick':
        return this.#tick();
    }
  }

  #stay(effects: NodeEffect[] = []): NodeStep {
    return { state: this.#state, effects };
  }

  #end(reason: string, before: NodeEffect[] = []): NodeStep {
    const gone: NodeEffect[] = reason === 'done' ? [] : [{ kind: 'aborted', reason }];
    return {
      state: { phase: 'ended', since: this.#now, endedBecause: reason },
      effects: [...before, { kind: 'forget' }, ...gone],
    };
  }

  #move(event: NodeEvent, changed: Partial<NodeState> & { phase: NodePhase }, effects: NodeEffect[]): NodeStep {
    const sent = effects.findLast((effect) => effect.kind === 'send');
    return {
      state: {
        ...this.#state,
        ...changed,
        since: this.#now,
        ...(sent && { sent: { name: sent.name, signed: sent.signed } }),
      },
      effects: [{ kind: 'journal', event }, ...effects],
    };
  }

  /** The same question again gets the same bytes; another question in its place gets none. */
  #again(): NodeStep {
    const { sent } = this.#state;
    return this.#stay(sent ? [{ kind: 'send', ...sent }] : []);
  }

  #seal<N extends BodyName>(name: N, body: BodyInit<N>): { kind: 'send'; name: N; signed: Signed } {
    const bytes = encodeBody(name, body);
    return { kind: 'send', name, signed: { body: bytes, signature: this.#options.sign(signedMessage(bytes)) } };
  }

  /** Parses a body of this session. */
  #read<N extends BodyName>(name: N, bytes: Uint8Array, sessionId: Uint8Array): Body<N> | typeof ignored {
    try {
      const body = decodeBody(name, bytes);
      const ours = sameBytes(body.roundId, this.#state.offer!.roundId) && sameBytes(body.sessionId, sessionId);
      return ours ? body : ignored;
    } catch {
      return ignored;
    }
  }

  #header(sessionId: Uint8Array, index: number) {
    return { roundId: this.#state.offer!.roundId, sessionId, index };
  }

  #offer(event: NodeEvent & { kind: 'offer' }, random: (length: number) => Uint8Array): NodeStep {
    if (this.#state.phase !== 'waiting')
      return this.#state.phase === 'advertised' && sameBytes(event.signed.body, this.#state.offer!.bytes)
        ? this.#again()
        : this.#stay();
    const { knowledge } = this.#options;
    let body: Body<'offer'>;
    try {
      body = decodeBody('offer', event.signed.body);
    } catch {
      return this.#end('the offer does not parse');
    }
    const failed = failedCheck(this.#checks.offer, {
      knowledge,
      signed: event.signed,
      offer: body,
      consistency: event.consistency,
    });
    if (failed) return this.#end(failed);
    const secrets = deriveSecrets(event.secret ?? random(32));
    const roundId = roundIdOf(event.signed.body);
    const advert = this.#seal('keyAdvert', {
      roundId,
      sessionId: noShardSeed,
      index: noPlace,
      nodeId: nodeIdOf(knowledge.identityKey),
      shareKey: secrets.share.publicKey,
      maskKey: secrets.mask.publicKey,
      nonce: hkdf(secrets.seed, roundId, Buffer.from('weft/1/secret/nonce'), 16),
    });
    return this.#move(
      { ...event, secret: secrets.seed },
      { phase: 'advertised', offer: { bytes: event.signed.body, body, roundId }, secrets, advert: advert.signed },
      [advert],
    );
  }

  #roster(event: NodeEvent & { body: Uint8Array }): NodeStep {
    const { phase, rosterBytes } = this.#state;
    if (phase !== 'advertised') return rosterBytes && sameBytes(rosterBytes, event.body) ? this.#again() : this.#stay();
    const { knowledge } = this.#options;
    const offer = this.#state.offer!;
    const ownAdvert = this.#state.advert!;
    const body = this.#read('roster', event.body, noShardSeed);
    if (body === ignored) return this.#stay();
    const members = membersOf(body.adverts, knowledge);
    if (members === undefined) return this.#end('advertsSigned');
    const sizes = sizesOfOffer(offer.body, members.length);
    if ('refusal' in sizes) return this.#end(sizes.refusal);
    const failed = failedCheck(this.#checks.roster, {
      knowledge,
      offer: offer.body,
      roundId: offer.roundId,
      roster: body,
      ownAdvert,
      members,
      sizes,
    });
    if (failed) return this.#end(failed);
    const own = nodeIdOf(knowledge.identityKey);
    const place = members.findIndex(({ advert }) => sameBytes(advert.nodeId, own));
    const roster = { adverts: body.adverts, members, root: body.rosterRoot };
    const changed = { roster, place, rosterBytes: event.body };
    if (sizes.shards.length === 1) return this.#share(event, changed, noShardSeed);
    if (offer.body.beacons.length === 0) return this.#end('several shards without a beacon');
    return this.#move(event, { ...changed, phase: 'sharded' }, this.#reveal(roster.root, place));
  }

  /** Only where the offer names this node, and for what it committed to. */
  #reveal(rosterRoot: Uint8Array, place: number): NodeEffect[] {
    const { beaconRandom, knowledge } = this.#options;
    const own = this.#state.offer!.body.beacons.find(({ beaconKey }) => sameBytes(beaconKey, knowledge.identityKey));
    if (!own || !beaconRandom || !sameBytes(own.commitment, beaconCommitment(beaconRandom))) return [];
    return [this.#seal('reveal', { ...this.#header(noShardSeed, place), rosterRoot, random: beaconRandom })];
  }

  #shardSeed(event: NodeEvent & { body: Uint8Array }): NodeStep {
    if (this.#state.phase !== 'sharded') return this.#stay();
    const body = this.#read('shardSeed', event.body, noShardSeed);
    if (body === ignored) return this.#stay();
    const { roster, offer } = this.#state;
    const { beacons } = offer!.body;
    const randoms = body.reveals.map((signed, k) => {
      const reveal = beacons[k] && openSigned('reveal', signed, beacons[k].beaconKey);
      const holds =
        reveal &&
        sameBytes(reveal.rosterRoot, roster!.root) &&
        sameBytes(beaconCommitment(reveal.random), beacons[k]!.commitment);
      return holds ? reveal.random : undefined;
    });
    if (randoms.length !== beacons.length || randoms.includes(undefined)) return this.#end('a beacon did not reveal');
    const seed = shardSeedOf(roster!.root, randoms as Uint8Array[]);
    return this.#share(
      event,
      { roster: roster!, place: this.#state.place!, rosterBytes: this.#state.rosterBytes! },
      seed,
    );
  }

  /** Deals both secrets to every member of the shard, this node included. */
  #share(
    event: NodeEvent,
    known: { roster: Roster; place: number; rosterBytes: Uint8Array },
    shardSeed: Uint8Array,
  ): NodeStep {
    const offer = this.#state.offer!;
    const secrets = this.#state.secrets!;
    const { adverts, members } = known.roster;
    const sizes = sizesOfOffer(offer.body, members.length);
    if ('refusal' in sizes) return this.#end(sizes.refusal);
    const { loaded } = this.#options.knowledge;
    const session = sessionOf(offer.bytes, { adverts, members, sizes, shardSeed, loaded });
    const shard = session.shardOf[known.place]!;
    const sealed = dealShares(secrets, { session, shard, place: known.place });
    if ('smallOrder' in sealed) return this.#end(`the share key of member ${sealed.smallOrder} is of small order`);
    const shares = this.#seal('shares', {
      ...this.#header(shard.sessionId, known.place),
      selfCommitment: sha256Bytes(secrets.self),
      sealed,
    });
    return this.#move(event, { ...known, phase: 'shared', session }, [shares]);
  }

  #delivery(event: NodeEvent & { body: Uint8Array }): NodeStep {
    const { phase, session, place, secrets, delivery, offer } = this.#state;
    if (phase !== 'shared') return delivery && sameBytes(delivery.bytes, event.body) ? this.#again() : this.#stay();
    const shard = session!.shardOf[place!]!;
    const body = this.#read('shareDelivery', event.body, shard.sessionId);
    if (body === ignored || body.index !== place) return this.#stay();
    const sharing = placesOf(body.sharing).filter((other) => other < session!.members.length);
    if (sharing.length !== body.sealed.length) return this.#stay();
    const shareAgree = agreeWith(secrets!.share.secret);
    const opened = body.sealed.map((sealed, k) =>
      openShares(sealed, sharing[k]!, { session: session!, shard, place: place, agree: shareAgree }),
    );
    const failed = failedCheck(this.#checks.delivery, { session: session!, shard, place: place, sharing, opened });
    if (failed) {
      const at = opened.findIndex(({ opens, hashesMatch }) => !opens || !hashesMatch);
      if (at < 0) return this.#end(failed);
      const complaint = this.#seal('complaint', {
        ...this.#header(shard.sessionId, place),
        dealer: sharing[at]!,
        reason: opened[at]!.opens ? 2 : 1,
      });
      return this.#end(`${failed}: the shares of member ${sharing[at]}`, [complaint]);
    }
    const terms = maskTerms(secrets!, { session: session!, shard, place: place }, sharing);
    if ('smallOrder' in terms) return this.#end(`the mask key of member ${terms.smallOrder} is of small order`);
    const shares = opened.map(({ self, mask }, k) => ({ dealer: sharing[k]!, self, mask }));
    return this.#move(event, { phase: 'masking', delivery: { bytes: event.body, sharing, shares } }, [
      { kind: 'mask', bits: offer!.body.bits, words: offer!.body.words, terms },
    ]);
  }

  #masked(event: NodeEvent & { kind: 'masked' }): NodeStep {
    const { phase, session, place, delivery } = this.#state;
    if (phase !== 'masking') return this.#stay();
    const shard = session!.shardOf[place!]!;
    const input = this.#seal('maskedInput', {
      ...this.#header(shard.sessionId, place!),
      sharingHash: sharingHashOf(delivery!.sharing),
      chunkRoot: event.chunkRoot,
      lengthBytes: BigInt(event.lengthBytes),
    });
    return this.#move(event, { phase: 'submitted', input: input.signed }, [{ kind: 'spend' }, input]);
  }

  #cut(event: NodeEvent & { kind: 'cut' }): NodeStep {
    const { phase, session, place, delivery, input, cut, offer } = this.#state;
    if (cut) {
      if (sameBytes(cut.signed.body, event.signed.body)) return phase === 'acknowledged' ? this.#again() : this.#stay();
      if (!verifySigned(event.signed, this.#options.knowledge.coordinatorKey)) return this.#stay();
      // Whatever else it signed contradicts nothing.
      if (this.#read('cut', event.signed.body, session!.shards[0]!.sessionId) === ignored) return this.#stay();
      return this.#end('a second cut', [{ kind: 'evidence', check: 'oneCut', statements: [cut.signed, event.signed] }]);
    }
    if (phase !== 'submitted') return this.#stay();
    const shard = session!.shardOf[place!]!;
    const body = this.#read('cut', event.signed.body, session!.shards[0]!.sessionId);
    if (body === ignored) return this.#stay();
    const members = session!.members.length;
    if (body.surviving.length !== members || body.dropped.length !== members)
      return this.#end('the cut is of another cohort');
    const failed = failedCheck(this.#checks.cut, {
      knowledge: this.#options.knowledge,
      offer: offer!.body,
      signed: event.signed,
      session: session!,
      shard,
      place: place!,
      sharing: delivery!.sharing,
      cut: body,
      ownInput: input!,
      proof: event.proof,
    });
    if (failed) return this.#end(failed);
    const hash = cutHashOf(event.signed.body);
    const ack = this.#seal('cutAck', { ...this.#header(shard.sessionId, place!), cutHash: hash });
    return this.#move(event, { phase: 'acknowledged', cut: { signed: event.signed, body, hash } }, [ack]);
  }

  #unmask(event: NodeEvent & { body: Uint8Array }): NodeStep {
    const { phase, session, place, delivery, cut } = this.#state;
    if (phase === 'opened') return this.#again();
    if (phase !== 'acknowledged') return this.#stay();
    const shard = session!.shardOf[place!]!;
    const body = this.#read('unmask', event.body, session!.shards[0]!.sessionId);
    if (body === ignored) return this.#stay();
    const failed = failedCheck(this.#checks.unmask, {
      session: session!,
      cut: cut!.body,
      ownCutHash: cut!.hash,
      unmask: body,
      holds: (ack) => ackHolds(session!, body.cutHash, ack),
    });
    if (failed) return this.#end(failed);
    const opening = this.#seal('opening', {
      ...this.#header(shard.sessionId, place!),
      cutHash: cut!.hash,
      shares: delivery!.shares.map(({ dealer, self, mask }) => (cut!.body.surviving[dealer] ? self : mask)),
    });
    return this.#move(event, { phase: 'opened' }, [opening]);
  }

  #tick(): NodeStep {
    const limitMs = this.#deadlineMs();
    if (limitMs === undefined || this.#now - this.#state.since <= limitMs) return this.#stay();
    // Whoever opened its shares has done its part, whatever the coordinator makes of it.
    return this.#end(this.#state.phase === 'opened' ? 'done' : 'deadline');
  }

  #deadlineMs(): number | undefined {
    const { phase, offer } = this.#state;
    if (!offer) return undefined;
    const { advertMs, sharesMs, inputMs, cutAckMs, openingMs } = offer.body.deadlines;
    const limits: Partial<Record<NodePhase, number>> = {
      advertised: advertMs,
      sharded: advertMs,
      shared: sharesMs,
      masking: inputMs,
      submitted: inputMs,
      acknowledged: cutAckMs,
      opened: openingMs,
    };
    return limits[phase];
  }
}
