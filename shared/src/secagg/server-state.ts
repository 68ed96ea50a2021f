import type { Body, BodyInit, BodyName, cutProofLayout, ModelHashes, Signed } from './bodies.ts';
import type { ValueOf } from './byte-layout.ts';
import type { MaskTerm } from './mask.ts';
import { hex, type Directory, type Session, type Shard } from './session.ts';

/** What the coordinator's machine of a session takes in, keeps and asks for. */
export type ServerPhase = 'keys' | 'shards' | 'shares' | 'collecting' | 'cutting' | 'opening' | 'unmasking' | 'ended';

export type ServerEvent =
  | { readonly kind: 'begin' }
  | { readonly kind: 'keyAdvert' | 'reveal' | 'shares' | 'complaint' | 'cutAck' | 'opening'; readonly signed: Signed }
  /** The vector has arrived whole, and its length and root are those of the signed body. */
  | { readonly kind: 'maskedInput'; readonly signed: Signed; readonly loggedByMs: bigint }
  /** This node, by its id in hex, is to have no part in the sum. */
  | { readonly kind: 'revoked'; readonly nodeId: string }
  | { readonly kind: 'unmasked' }
  /** Nobody is left to wait for, or the time is up. */
  | { readonly kind: 'deadline' }
  | { readonly kind: 'tick' };

export interface ShardOpening {
  /** Members whose inputs are added. */
  readonly summed: readonly number[];
  /** What takes the masks off their sum. */
  readonly terms: readonly MaskTerm[];
}

export type ServerEffect =
  | { readonly kind: 'journal'; readonly event: ServerEvent }
  | { readonly kind: 'sendToAll'; readonly name: BodyName; readonly body: Uint8Array }
  | ({ readonly kind: 'send'; readonly place: number } & ServerMessage)
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
  /** Why it ended without a sum. */
  readonly abortedBecause?: string;
  readonly phase: ServerPhase;
  readonly since: number;
  readonly adverts: ReadonlyMap<string, Signed>;
  /** Every key of the adverts, in hex: none comes twice. */
  readonly sessionKeys: ReadonlyMap<string, true>;
  /** Node ids in hex: they count as dropped from where they were revoked. */
  readonly revoked: ReadonlySet<string>;
  readonly roster?: { readonly adverts: readonly Signed[]; readonly root: Uint8Array };
  readonly reveals: ReadonlyMap<string, Signed>;
  readonly session?: Session;
  readonly shares: ReadonlyMap<number, { readonly signed: Signed; readonly body: Body<'shares'> }>;
  /** Of members who could not open what they were dealt, by their place. They send no input. */
  readonly complaints: ReadonlyMap<number, { readonly signed: Signed; readonly body: Body<'complaint'> }>;
  readonly inputs: ReadonlyMap<number, Signed>;
  /** By when the receipt of each input said that a Cut or Abort stands in the log: milliseconds since 1970. */
  readonly promised: ReadonlyMap<number, bigint>;
  readonly cut?: { readonly bytes: Uint8Array; readonly hash: Uint8Array; readonly surviving: readonly boolean[] };
  readonly acks: ReadonlyMap<number, Uint8Array>;
  readonly openings: ReadonlyMap<number, { readonly signed: Signed; readonly body: Body<'opening'> }>;
  /** Places of members that opened other shares than they were dealt. */
  readonly badOpenings: ReadonlySet<number>;
  readonly blamed: readonly Blame[];
}

export interface ServerOptions {
  readonly offer: BodyInit<'offer'>;
  readonly loaded: ModelHashes;
  readonly directory: Directory;
  /** Nodes that were offered the session: with all of them heard, no deadline is waited for. */
  readonly invited: number;
}

/** A body that the coordinator signs and sends; a cut has each survivor's own proof beside it. */
export interface ServerMessage {
  readonly name: BodyName;
  readonly body: Uint8Array;
  readonly proof?: ValueOf<typeof cutProofLayout>;
}

export interface ServerStep {
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

export const newServer = (): ServerState => ({
  phase: 'keys',
  since: 0,
  adverts: new Map(),
  sessionKeys: new Map(),
  revoked: new Set(),
  reveals: new Map(),
  shares: new Map(),
  complaints: new Map(),
  inputs: new Map(),
  promised: new Map(),
  acks: new Map(),
  openings: new Map(),
  badOpenings: new Set(),
  blamed: [],
});

export const isRevoked = ({ revoked, session }: ServerState, place: number): boolean =>
  revoked.size > 0 && revoked.has(hex(session!.members[place]!.advert.nodeId));

/** U1 of a shard: whose shares came. */
export const sharingIn = ({ shares }: Pick<ServerState, 'shares'>, shard: Shard): number[] =>
  shard.places.filter((place) => shares.has(place));

/** Shards in which enough members shared to open a secret later. */
export const openShards = (state: ServerState): Shard[] =>
  (state.session?.shards ?? []).filter((shard) => sharingIn(state, shard).length >= shard.sizes.threshold);

const inputsOf = new WeakMap<ServerState['shares'], readonly number[]>();

/** Who may send an input that can be summed. Asked for at each of them, when nothing about the shares changes any more. */
export function awaitedInputs(state: ServerState): readonly number[] {
  const known = inputsOf.get(state.shares);
  if (known) return known;
  const awaited = openShards(state).flatMap((shard) => sharingIn(state, shard));
  inputsOf.set(state.shares, awaited);
  return awaited;
}
