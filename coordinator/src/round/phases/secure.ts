import { secagg, WeftError, type NodeId, type RoundPhase } from '@weft/shared';
import type { RoundInput } from '../inputs.ts';
import {
  authorOf,
  awaitedNodes,
  loggedByMs,
  type MemberMessage,
  nodeAt,
  placeOf,
  secureOffer,
  takeEvent,
  toSend,
} from '../secure-session.ts';
import type { RunState, SecureSession } from '../state.ts';
import { Turn } from '../turn.ts';
import { earliest, type Phase } from './phase.ts';

/**
 * The phases keys, shares, collecting and unmasking of mode secure. What happens in them is decided by the machine of
 * secure aggregation; here its events become rows, its effects messages, and a node whose lease ended one that dropped.
 */
export const secure: Phase = {
  advance(turn) {
    const session = turn.state.secure!;
    if (giveUpEnded(turn)) return;
    // While the run was paused its messages were taken, and no phase was entered.
    follow(turn, session);
    if (turn.state.phase === 'committing') return;
    turn.dropSilentOf(() => [...awaitedNodes(session)].filter((nodeId) => isHere(turn.state, nodeId)));
    if (nobodyComes(turn.state, session) || turn.now > dueAt(session)) apply(turn, { kind: 'deadline' });
  },
  dueAt(state) {
    const due = dueAt(state.secure!);
    return earliest(Number.isFinite(due) ? due + 1 : undefined, Turn.leaseEnd(state));
  },
  greet(turn, nodeId) {
    const { secure: session, cohort } = turn.state;
    if (!session || !cohort.includes(nodeId)) return;
    const { options, server } = session;
    const place = placeOf(session, nodeId);
    // The receipt first: without the promise in it a node signs no cut.
    const own = [secagg.receiptTo(options, server, place), secagg.messageTo(options, server, place)];
    for (const message of [...secagg.messagesToAll(options, server), ...own.filter((said) => said !== undefined)])
      send(turn, session, [nodeId], message);
  },
};

/** Members that may still answer: ready, or with an input that was accepted. */
const isHere = (state: RunState, nodeId: NodeId): boolean => {
  const stage = state.participants.get(nodeId)?.stage;
  return stage === 'ready' || stage === 'accepted';
};

/** Someone is awaited, and nobody of them will answer. */
function nobodyComes(state: RunState, session: SecureSession): boolean {
  let isAwaited = false;
  for (const nodeId of awaitedNodes(session)) {
    if (isHere(state, nodeId)) return false;
    isAwaited = true;
  }
  return isAwaited;
}

const dueAt = ({ options, server }: SecureSession): number => server.since + secagg.deadlineMs(options, server);

/** The cohort is fixed: its keys are asked for. */
export function beginSecure(turn: Turn, nodes: readonly { nodeId: NodeId; publicKey: string }[]): void {
  const members = nodes.map(({ nodeId }) => nodeId);
  const offer = Buffer.from(secureOffer(turn.state, members, turn.random)).toString('base64');
  turn.record({ kind: 'secagg.opened', data: { offer, members: [...nodes] } });
  turn.enter('keys');
  const session = turn.state.secure!;
  for (const message of secagg.messagesToAll(session.options, session.server))
    send(turn, session, turn.state.cohort, message);
}

/** It counts as dropped; a round whose cut has it in is given up. */
export function revokeMember(turn: Turn, nodeId: NodeId): void {
  const { secure: session, cohort } = turn.state;
  if (session && cohort.includes(nodeId)) apply(turn, { kind: 'revoked', nodeId: nodeId.slice(2) });
}

type SecureInput = Extract<RoundInput, { kind: 'secure' }>;

const taken: readonly string[] = ['keyAdvert', 'reveal', 'shares', 'complaint', 'maskedInput', 'cutAck', 'opening'];
const isTaken = (name: string): name is MemberMessage => taken.includes(name);

/** A message that is late, of another session or a repeat changes nothing; only what cannot be is refused. */
export function takeSecure(turn: Turn, { nodeId, round, name, signed }: SecureInput): void {
  const { secure: session, cohort, participants } = turn.state;
  if (round !== turn.state.round || !session || !cohort.includes(nodeId)) {
    throw new WeftError(
      'WEFT_UPDATE_WRONG_ROUND',
      `the message ${name.slice(0, 20)} is about round ${round + 1}; ${nodeId} has no part in secure aggregation of round ${turn.state.round + 1}`,
    );
  }
  if (!isTaken(name)) throw new WeftError('WEFT_SECAGG_MALFORMED', `nodes do not send ${name.slice(0, 20)}`);
  requireOwn(session, nodeId, name, signed.body);
  if (name !== 'maskedInput') return apply(turn, { kind: name, signed });
  // Its receipt would promise a time, and a pause has none; who was not answered is asked again on resuming.
  if (turn.state.lifecycle === 'paused') return;
  const body = secagg.decodeBody('maskedInput', signed.body);
  const update = participants.get(nodeId)?.update;
  const holds =
    update?.chunkRoot === Buffer.from(body.chunkRoot).toString('hex') &&
    BigInt(update.payload.sizeBytes) === body.lengthBytes;
  if (!holds) {
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `${nodeId} signed a masked input of ${body.lengthBytes} bytes; ${update ? 'another one' : 'none'} has arrived`,
    );
  }
  apply(turn, { kind: 'maskedInput', signed, loggedByMs: loggedByMs(session.options, turn.now) });
}

/**
 * A member speaks for itself alone. What another signed would else be held against what this one uploaded, and booked for
 * the other.
 */
function requireOwn(session: SecureSession, nodeId: NodeId, name: MemberMessage, body: Uint8Array): void {
  const author = authorOf(session, name, body);
  if (author !== undefined && author !== nodeId)
    throw new WeftError('WEFT_UPDATE_WRONG_NODE', `${nodeId} sent the ${name} of ${author} in its own session`);
}

function apply(turn: Turn, event: secagg.ServerEvent): void {
  const before = turn.state.secure!;
  const taken = takeEvent(before, event, turn.now);
  if (!taken) return;
  turn.record({ kind: 'secagg.moved', data: taken.row });
  const session = turn.state.secure!;
  // Also where the session ends well without them: they are in no later one.
  for (const { nodeId, because } of session.server.blamed.slice(before.server.blamed.length))
    turn.record({ kind: 'node.blamed', nodeId: `n_${nodeId}` as NodeId, data: { because } });
  follow(turn, session);
  for (const effect of taken.effects) carryOut(turn, session, effect);
}

/** Whichever phase the round is in. @returns whether its session is over without a sum */
export function giveUpEnded(turn: Turn): boolean {
  const { server } = turn.state.secure ?? {};
  if (server?.phase !== 'ended') return false;
  const named = server.blamed.map(({ nodeId, because }) => `n_${nodeId}: ${because}`);
  const message = [server.abortedBecause ?? 'the session ended', ...named].join('; ');
  turn.abortRound({ code: 'WEFT_SECAGG_ABORTED', message });
  return true;
}

const phaseOf: Readonly<Record<secagg.ServerState['phase'], RoundPhase | undefined>> = {
  keys: 'keys',
  shards: 'keys',
  shares: 'shares',
  collecting: 'collecting',
  cutting: 'unmasking',
  opening: 'unmasking',
  unmasking: 'committing',
  ended: undefined,
};

function follow(turn: Turn, { server }: SecureSession): void {
  const phase = phaseOf[server.phase];
  if (phase && phase !== turn.state.phase && turn.state.lifecycle === 'running') turn.enter(phase);
}

function carryOut(turn: Turn, session: SecureSession, effect: secagg.ServerEffect): void {
  switch (effect.kind) {
    case 'sendToAll':
      return send(turn, session, turn.state.cohort, effect);
    case 'send':
      return send(turn, session, [nodeAt(session, effect.place)], effect);
    case 'aborted':
    case 'journal':
    case 'log':
    case 'unmask':
    case 'finished':
      return;
  }
}

function send(turn: Turn, session: SecureSession, to: readonly NodeId[], message: secagg.ServerMessage): void {
  turn.effect(toSend(session, { to, round: turn.state.round }, message));
}
