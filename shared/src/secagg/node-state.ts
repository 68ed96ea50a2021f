import type { Body, BodyName, cutProofLayout, Signed } from './bodies.ts';
import type { ValueOf } from './byte-layout.ts';
import type { KeyPair } from './keys.ts';
import type { MaskTerm } from './mask.ts';
import type { nodeChecks, NodeKnowledge } from './node-checks.ts';
import type { Member, Session } from './session.ts';

/** What a node's machine of a session takes in, keeps and asks for. */
export type NodePhase =
  | 'waiting'
  | 'advertised'
  | 'sharded'
  | 'shared'
  | 'masking'
  | 'submitted'
  | 'acknowledged'
  | 'opened'
  | 'ended';

export type NodeEvent =
  | {
      readonly kind: 'offer';
      readonly signed: Signed;
      readonly consistency: readonly Uint8Array[];
      readonly secret?: Uint8Array | undefined;
    }
  | { readonly kind: 'roster' | 'shardSeed' | 'shareDelivery' | 'unmask'; readonly body: Uint8Array }
  | { readonly kind: 'masked'; readonly chunkRoot: Uint8Array; readonly lengthBytes: number }
  | { readonly kind: 'cut'; readonly signed: Signed; readonly proof: ValueOf<typeof cutProofLayout> }
  /** The coordinator has the opening, or gave the session up. */
  | { readonly kind: 'done' | 'abort' }
  | { readonly kind: 'tick' };

export type NodeEffect =
  /** Write the event, fsync, and only then go on. */
  | { readonly kind: 'journal'; readonly event: NodeEvent }
  | { readonly kind: 'send'; readonly name: BodyName; readonly signed: Signed }
  /** Mask the quantised update and answer with a `masked` event; the same update each time, or none. */
  | { readonly kind: 'mask'; readonly bits: number; readonly words: number; readonly terms: readonly MaskTerm[] }
  /** The update has left: it enters no other session. */
  | { readonly kind: 'spend' }
  /** Two signed statements that cannot both be honest, to keep and to show. */
  | { readonly kind: 'evidence'; readonly check: 'oneCut'; readonly statements: readonly Signed[] }
  /** Delete every secret of the session and the update. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'aborted'; readonly reason: string };

export interface Secrets {
  readonly seed: Uint8Array;
  readonly share: KeyPair;
  readonly mask: KeyPair;
  readonly self: Uint8Array;
}

export interface NodeState {
  readonly phase: NodePhase;
  /** On the node's monotonic clock: when this phase began. */
  readonly since: number;
  readonly offer?: { readonly bytes: Uint8Array; readonly body: Body<'offer'>; readonly roundId: Uint8Array };
  readonly secrets?: Secrets;
  readonly advert?: Signed;
  readonly roster?: Roster;
  readonly session?: Session;
  readonly place?: number;
  readonly rosterBytes?: Uint8Array;
  readonly delivery?: {
    readonly bytes: Uint8Array;
    readonly sharing: readonly number[];
    readonly shares: readonly HeldShares[];
  };
  readonly input?: Signed;
  readonly cut?: { readonly signed: Signed; readonly body: Body<'cut'>; readonly hash: Uint8Array };
  /** What was sent in this phase: the same bytes go out again for the same question. */
  readonly sent?: { readonly name: BodyName; readonly signed: Signed };
  readonly endedBecause?: string;
}

export interface Roster {
  readonly adverts: readonly Signed[];
  readonly members: readonly Member[];
  readonly root: Uint8Array;
}

export interface HeldShares {
  readonly dealer: number;
  readonly self: Uint8Array;
  readonly mask: Uint8Array;
}

export interface NodeOptions {
  readonly knowledge: NodeKnowledge;
  readonly sign: (message: Uint8Array) => Uint8Array;
  /** 32 bytes that this node committed to before the offer; revealed where the offer names it as a beacon with them. */
  readonly beaconRandom?: Uint8Array | undefined;
  /** The table of checks; tests take one out. */
  readonly checks?: typeof nodeChecks | undefined;
}

export interface NodeStep {
  readonly state: NodeState;
  readonly effects: readonly NodeEffect[];
}

export const newNode = (): NodeState => ({ phase: 'waiting', since: 0 });
