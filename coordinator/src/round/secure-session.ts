import { hashRunSpec, secagg, secureSizes, secureStepMs, updateEncoding, type NodeId, type Sha256 } from '@weft/shared';
import type { EventData } from '../store/events.ts';
import { chooseBeacons } from './beacons.ts';
import type { Effect } from './inputs.ts';
import type { RunState, SecureSession } from './state.ts';
import type { RoundRandom } from './turn.ts';

/** Between the rows of the event table and the machine of secure aggregation: the rows alone give the session back. */

const hashBytes = (hash: Sha256): Uint8Array => Buffer.from(hash, 'hex');
const zeros = new Uint8Array(32);

/** What the coordinator offers to the nodes that are ready, for this round. */
export function secureOffer(state: RunState, members: readonly NodeId[], random: RoundRandom): Uint8Array {
  const { spec, runId, round, adapter, layoutSha256, factor, factorValues, clipNormL2, logHead } = state;
  const { secure } = spec.aggregation;
  const stepMs = secureStepMs(secure);
  return secagg.encodeBody('offer', {
    roundId: zeros,
    sessionId: zeros,
    index: secagg.noPlace,
    runId: Buffer.from(runId.slice(2), 'hex'),
    round,
    previousResult: hashBytes(adapter.sha256),
    logSize: BigInt(logHead.size),
    logRoot: logHead.root,
    specHash: hashBytes(hashRunSpec(spec)),
    baseHash: hashBytes(spec.baseModel.sha256),
    adapterHash: hashBytes(adapter.sha256),
    layoutHash: hashBytes(layoutSha256),
    ...updateEncoding(spec, factorValues[factor], clipNormL2).offered,
    minMembers: spec.cohort.minimum,
    maxMembers: members.length,
    ...secureSizes(secure),
    smallestSurvivors: secure.smallestSurvivors,
    beacons: chooseBeacons(state, members, random),
    deadlines: { advertMs: stepMs, sharesMs: stepMs, inputMs: stepMs, cutAckMs: stepMs, openingMs: stepMs },
  });
}

/** Who may answer the offer of this row, and what it offers. */
export function sessionOptions({ offer, members }: EventData<'secagg.opened'>): SecureSession['options'] {
  const { version: _version, type: _type, ...body } = secagg.decodeBody('offer', Buffer.from(offer, 'base64'));
  const directory = new Map(
    members.map(({ nodeId, publicKey }) => [
      nodeId.slice(2),
      // The coordinator's own view: whom to trust is for each node to say.
      { identityKey: Buffer.from(publicKey, 'hex'), trusted: true },
    ]),
  );
  const loaded = { baseHash: body.baseHash, adapterHash: body.adapterHash, layoutHash: body.layoutHash };
  return { offer: body, loaded, directory, invited: members.length };
}

export function openSession(opened: EventData<'secagg.opened'>, at: number): SecureSession {
  const options = sessionOptions(opened);
  return { options, server: secagg.stepServer(options, secagg.newServer(), { kind: 'begin' }, at).state };
}

/** What a row is about to change, worked out once: the machine took the event before the row was written. */
const steps = new WeakMap<
  EventData<'secagg.moved'>,
  { readonly before: secagg.ServerState; readonly at: number; readonly step: SecureStep }
>();
type SecureStep = ReturnType<typeof secagg.stepServer>;

/** Takes an event; with a row where the machine had a use for it. */
export function takeEvent(
  { options, server }: SecureSession,
  event: secagg.ServerEvent,
  at: number,
): { readonly row: EventData<'secagg.moved'>; readonly effects: SecureStep['effects'] } | undefined {
  const said = toRow(event);
  if (!said) return undefined;
  // From the row's own bytes: what a replay gives is this very state.
  const step = secagg.stepServer(options, server, toServerEvent(said, options, at), at);
  if (step.effects.length === 0) return undefined;
  const row = { ...said, ...fixedIn(step) };
  steps.set(row, { before: server, at, step });
  return { row, effects: step.effects };
}

/** So that whoever reads the rows, as the log does, need not run the session again. */
function fixedIn({ effects }: SecureStep): Pick<EventData<'secagg.moved'>, 'fixed'> {
  for (const effect of effects)
    if (effect.kind === 'log' && effect.leaf !== 'abort')
      return { fixed: { leaf: effect.leaf, bytes: Buffer.from(effect.bytes).toString('base64') } };
  return {};
}

export function moveSession(
  { options, server }: SecureSession,
  moved: EventData<'secagg.moved'>,
  at: number,
): SecureSession {
  const taken = steps.get(moved);
  const known = taken?.before === server && taken.at === at;
  const { state } = known ? taken.step : secagg.stepServer(options, server, toServerEvent(moved, options, at), at);
  return { options, server: state };
}

/** Time in which nobody could answer does not count. */
export const postpone = ({ options, server }: SecureSession, ms: number): SecureSession => ({
  options,
  server: { ...server, since: server.since + ms },
});

/** Beyond the time in which inputs are taken: for writing the log, and showing it. */
const logAllowanceMs = 60_000;

/**
 * What the receipt of an input promises: by when a Cut or Abort stands in the log, milliseconds since 1970. It follows from
 * the row alone, so a coordinator that comes back signs the same receipt.
 * @param at of the input's row
 */
export const loggedByMs = ({ offer }: SecureSession['options'], at: number): bigint =>
  BigInt(at) + BigInt(offer.deadlines.inputMs + logAllowanceMs);

/** A promise is out, and nothing that keeps it is in the log yet. */
export const owesLog = ({ server }: SecureSession): boolean =>
  server.phase === 'collecting' && server.promised.size > 0;

/** @param at of the row */
export function toServerEvent(
  { kind, body, signature, revoked }: EventData<'secagg.moved'>,
  options: SecureSession['options'],
  at: number,
): secagg.ServerEvent {
  if (kind === 'deadline') return { kind };
  if (kind === 'revoked') return { kind, nodeId: revoked?.slice(2) ?? '' };
  const signed = { body: Buffer.from(body ?? '', 'base64'), signature: Buffer.from(signature ?? '', 'base64') };
  return kind === 'maskedInput' ? { kind, signed, loggedByMs: loggedByMs(options, at) } : { kind, signed };
}

function toRow(event: secagg.ServerEvent): EventData<'secagg.moved'> | undefined {
  if (event.kind === 'begin' || event.kind === 'tick' || event.kind === 'unmasked') return undefined;
  if (event.kind === 'deadline') return { kind: 'deadline' };
  if (event.kind === 'revoked') return { kind: 'revoked', revoked: `n_${event.nodeId}` as NodeId };
  const { body, signature } = event.signed;
  return {
    kind: event.kind,
    body: Buffer.from(body).toString('base64'),
    signature: Buffer.from(signature).toString('base64'),
  };
}

interface Places {
  readonly nodeIds: readonly NodeId[];
  readonly placeOf: ReadonlyMap<NodeId, number>;
}
const placesOfRoster = new WeakMap<readonly secagg.Member[], Places>();

/** Of a roster once: every message asks who is where. */
function placesIn({ server }: SecureSession): Places {
  const members = server.session?.members ?? [];
  const known = placesOfRoster.get(members);
  if (known) return known;
  const nodeIds = members.map(({ advert }) => `n_${Buffer.from(advert.nodeId).toString('hex')}` as NodeId);
  const places = { nodeIds, placeOf: new Map(nodeIds.map((nodeId, place) => [nodeId, place])) };
  placesOfRoster.set(members, places);
  return places;
}

export const nodeAt = (session: SecureSession, place: number): NodeId => placesIn(session).nodeIds[place]!;

/** @returns −1 for a node that is not in the roster */
export const placeOf = (session: SecureSession, nodeId: NodeId): number => placesIn(session).placeOf.get(nodeId) ?? -1;

/** What members send in a session. */
export type MemberMessage = Extract<secagg.ServerEvent, { readonly signed: secagg.Signed }>['kind'];

/**
 * Of whom a body says that it is. @returns undefined where nobody stands at its place, or the roster is not fixed yet
 * @throws WEFT_SECAGG_MALFORMED
 */
export function authorOf({ server }: SecureSession, name: MemberMessage, bytes: Uint8Array): NodeId | undefined {
  const advert = name === 'keyAdvert' ? bytes : server.roster?.adverts[secagg.decodeBody(name, bytes).index]?.body;
  return advert && (`n_${Buffer.from(secagg.decodeBody('keyAdvert', advert).nodeId).toString('hex')}` as NodeId);
}

/** Beacons for whose silence a session ended before its shards were drawn. */
export const unrevealed = ({ options, server }: SecureSession): NodeId[] =>
  server.phase === 'ended' && server.session === undefined
    ? secagg.silentBeacons(options, server).map((id) => `n_${id}` as NodeId)
    : [];

/** Nodes that the current step still waits for, one by one. */
export function* awaitedNodes(session: SecureSession): Generator<NodeId, undefined> {
  const { options, server } = session;
  if (server.phase === 'keys') {
    for (const id of options.directory.keys()) if (!server.adverts.has(id)) yield `n_${id}` as NodeId;
  } else if (server.phase === 'shards') {
    for (const id of secagg.silentBeacons(options, server)) yield `n_${id}` as NodeId;
  } else {
    for (const place of secagg.awaitedPlaces(server)) yield nodeAt(session, place);
  }
}

/** A message of the session on its way; an offer has beside it who may take part. */
export function toSend(
  { options }: SecureSession,
  { to, round }: { to: readonly NodeId[]; round: number },
  { name, body, proof }: secagg.ServerMessage,
): Extract<Effect, { kind: 'sendSecure' }> {
  const memberKeys =
    name === 'offer' ? [...options.directory.values()].map(({ identityKey }) => identityKey) : undefined;
  return {
    kind: 'sendSecure',
    to,
    round,
    message: { name, body, ...(proof && { proof }) },
    ...(memberKeys && { memberKeys }),
  };
}
