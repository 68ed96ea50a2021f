import { isWeftError, log, secagg, toNodeId, type NodeId } from '@weft/shared';
import { sessionOptions } from '../round/secure-session.ts';
import { coordinator, hex, Refuted } from './evidence.ts';

type LeafOf<N extends log.Leaf['name']> = Extract<log.Leaf, { name: N }>;

/** A leaf with its place in the log. */
export interface Placed<N extends log.Leaf['name']> {
  readonly leaf: LeafOf<N>;
  readonly entry: number;
}

/** What the log says of a round of secure aggregation that brought a result. */
export interface SecureRoundLeaves {
  readonly offer: Placed<'offer'>;
  readonly roster: Placed<'roster'>;
  readonly cut: Placed<'cut'>;
  readonly open: Placed<'open'>;
  readonly result: Placed<'result'>;
}

export interface SessionEvidence {
  readonly offer: Uint8Array;
  /** Ed25519 keys of the nodes that were invited. */
  readonly invited: readonly Uint8Array[];
  readonly messages: readonly (
    | { readonly kind: MemberMessage; readonly signed: secagg.Signed }
    | Extract<secagg.ServerEvent, { readonly kind: 'deadline' | 'revoked' }>
  )[];
}
type MemberMessage = Exclude<log.RoundManifest['messages'][number]['kind'], 'deadline' | 'revoked'>;

export interface ReplayedSession {
  readonly offer: secagg.BodyInit<'offer'>;
  readonly server: secagg.ServerState;
  /** By place. */
  readonly members: readonly { readonly nodeId: NodeId; readonly identityKey: Uint8Array }[];
}

/**
 * Gives the session's messages to the machine that the coordinator ran, and holds what it fixes against the leaves.
 * @throws Refuted with the entry and the party at fault
 */
export function replaySession(leaves: SecureRoundLeaves, evidence: SessionEvidence): ReplayedSession {
  const options = offeredSession(leaves.offer, evidence);
  let server = secagg.stepServer(options, secagg.newServer(), { kind: 'begin' }, 0).state;
  for (const message of evidence.messages) {
    const entry = entryOf(leaves, server.phase);
    if ('signed' in message) requireSigned(options, server, message, entry);
    const event = toEvent(message);
    const { state, effects } = secagg.stepServer(options, server, event, 0);
    if (effects.length === 0)
      throw new Refuted({
        claim: `a message ${message.kind} stands in the evidence that the session ${server.phase} has no use for`,
        entry,
        party: coordinator,
      });
    server = state;
    if (server.phase !== 'ended') continue;
    const [blame] = server.blamed;
    throw new Refuted({
      claim: `the session ends without a sum: ${blame === undefined ? server.abortedBecause : `n_${blame.nodeId}: ${blame.because}`}`,
      entry,
      party: blame === undefined ? coordinator : `n_${blame.nodeId}`,
    });
  }
  holdAgainstLeaves(leaves, server);
  const members = server.session!.members.map(({ identityKey }) => ({ nodeId: toNodeId(identityKey), identityKey }));
  requireSame('member root', leaves.roster, leaves.roster.leaf.memberRoot, memberRootOf(leaves, members));
  return { offer: options.offer, server, members };
}

const toEvent = (message: SessionEvidence['messages'][number]): secagg.ServerEvent => {
  if (!('signed' in message)) return message;
  const { kind, signed } = message;
  return kind === 'maskedInput' ? { kind, signed, loggedByMs: 0n } : { kind, signed };
};

const memberRootOf = ({ roster: { leaf } }: SecureRoundLeaves, members: ReplayedSession['members']): Uint8Array =>
  log.sortedRoot(members.map(({ identityKey }) => log.pseudonymOf(leaf.runId, identityKey)));

/** The leaf that what comes in this phase makes. */
function entryOf({ roster, cut, open }: SecureRoundLeaves, phase: secagg.ServerState['phase']): number {
  if (phase === 'keys' || phase === 'shards') return roster.entry;
  return phase === 'shares' || phase === 'collecting' ? cut.entry : open.entry;
}

/** The Offer is the one of this round and spec. Members signed its hash: with it they signed all that it says. */
function offeredSession({ leaf, entry }: Placed<'offer'>, { offer: bytes, invited }: SessionEvidence) {
  const members = invited.map((key) => ({ nodeId: toNodeId(key), publicKey: hex(key) }));
  let options: secagg.ServerOptions;
  try {
    options = sessionOptions({ offer: Buffer.from(bytes).toString('base64'), members });
  } catch (error) {
    if (!isWeftError(error)) throw error;
    throw new Refuted({ claim: `the offer of the session: ${error.message}`, entry, party: coordinator });
  }
  const { offer } = options;
  const names = ['runId', 'specHash', 'baseHash', 'layoutHash', 'adapterHash'] as const;
  const other = names.find((name) => hex(offer[name]) !== hex(leaf[name]));
  if (other !== undefined || offer.round !== leaf.round)
    throw new Refuted({
      claim: `members were offered another ${other ?? 'round'} than the log says`,
      entry,
      party: coordinator,
    });
  return options;
}

/** A signature that does not hold tells nothing of the node whose it should be: who shows it is at fault. */
function requireSigned(
  options: secagg.ServerOptions,
  server: secagg.ServerState,
  { kind, signed }: { readonly kind: MemberMessage; readonly signed: secagg.Signed },
  entry: number,
): void {
  // Beacons sign for the session; the machine itself holds their reveals against the keys that the offer names.
  if (kind === 'reveal') return;
  let key: Uint8Array | undefined;
  try {
    key =
      kind === 'keyAdvert'
        ? options.directory.get(hex(secagg.decodeBody(kind, signed.body).nodeId))?.identityKey
        : server.session?.members[secagg.decodeBody(kind, signed.body).index]?.identityKey;
  } catch (error) {
    if (!isWeftError(error)) throw error;
    throw new Refuted({ claim: `a message ${kind} does not parse: ${error.message}`, entry, party: coordinator });
  }
  if (key === undefined)
    throw new Refuted({ claim: `a message ${kind} is of nobody in the session`, entry, party: coordinator });
  if (!secagg.verifySigned(signed, key))
    throw new Refuted({ claim: `the ${kind} of ${toNodeId(key)} is not signed by it`, entry, party: coordinator });
}

function holdAgainstLeaves({ roster, cut, open }: SecureRoundLeaves, server: secagg.ServerState): void {
  if (server.phase !== 'unmasking' || !server.roster || !server.cut)
    throw new Refuted({
      claim: `the messages end in the phase ${server.phase}, before the masks could be taken off`,
      entry: open.entry,
      party: coordinator,
    });
  requireSame('advert root', roster, roster.leaf.advertRoot, server.roster.root);
  requireSame('number of members', roster, roster.leaf.members, server.roster.adverts.length);
  const { surviving, dropped, inputRoot } = secagg.decodeBody('cut', server.cut.bytes);
  const count = (places: readonly boolean[]): number => places.filter(Boolean).length;
  requireSame('hash of the cut', cut, cut.leaf.cutHash, server.cut.hash);
  requireSame('root over inputs', cut, cut.leaf.inputRoot, inputRoot);
  requireSame('number of survivors', cut, cut.leaf.surviving, count(surviving));
  requireSame('number of dropped members', cut, cut.leaf.dropped, count(dropped));
  requireSame('hash of the cut', open, open.leaf.cutHash, server.cut.hash);
  requireSame('number of acknowledgements', open, open.leaf.acknowledgements, server.acks.size);
}

/** @throws Refuted */
export function requireSame<T extends Uint8Array | number | bigint>(
  what: string,
  { entry }: { readonly entry: number },
  logged: T,
  recomputed: T,
): void {
  const text = (value: T): string => (value instanceof Uint8Array ? hex(value) : String(value));
  if (text(logged) === text(recomputed)) return;
  throw new Refuted({
    claim: `the ${what} is ${text(logged)} in the log, what members signed gives ${text(recomputed)}`,
    entry,
    party: coordinator,
  });
}
