import { secagg, WeftError, type NodeId } from '@weft/shared';
import type { RoundInput } from './inputs.ts';
import { placeOf } from './secure-session.ts';
import { activePhase, hasEnded, hasRoom, type Participant } from './state.ts';
import type { Turn } from './turn.ts';

/** Each is a row for ever. Who crashes more often than this in one round may try again in the next. */
const announcementLimit = 20;

type Fact<K extends RoundInput['kind']> = Extract<RoundInput, { kind: K }>;

/** What nodes report. A fact is recorded once; what does not belong to this round is refused, and changes nothing. */
export function takeReady(
  turn: Turn,
  { nodeId, round, payload, trainingMs, publicKey, logSize = 0, organisation, beaconCommitment }: Fact<'ready'>,
): void {
  const known = participantOf(turn, nodeId, round);
  if (known.payload?.sha256 === payload.sha256 && (known.stage === 'ready' || known.stage === 'accepted')) return;
  if (known.stage === 'accepted') {
    throw new WeftError(
      'WEFT_UPDATE_DUPLICATE',
      `the update of ${nodeId} in round ${round + 1} is accepted already, this is another one`,
    );
  }
  const phase = activePhase(turn.state);
  // A member that lost its update, by a crash for instance, may announce another until one is accepted.
  const inTime =
    phase === 'training' ||
    (phase === 'collecting' && turn.state.secure === undefined && turn.state.cohort.includes(nodeId));
  if (!inTime)
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `round ${round + 1} is ${phase}: its cohort is fixed without ${nodeId}`,
    );
  if (phase === 'training' && (known.stage === 'left' || known.stage === 'declined') && !hasRoom(turn.state)) {
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `the place of ${nodeId} in round ${round + 1} was given to another node, cohort.maximum is ${turn.state.spec.cohort.maximum}`,
    );
  }
  if (known.announcements >= announcementLimit) {
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `${nodeId} announced ${known.announcements} updates in round ${round + 1}, the limit is ${announcementLimit}`,
    );
  }
  turn.record({
    kind: 'node.ready',
    nodeId,
    data: {
      payloadSha256: payload.sha256,
      payloadBytes: payload.sizeBytes,
      trainingMs,
      elapsedMs: Math.max(0, turn.now - known.offeredAt),
      publicKey,
      ...(logSize > 0 && { logSize }),
      ...(organisation !== undefined && { organisation }),
      ...(beaconCommitment !== undefined && { beaconCommitment }),
    },
  });
}

export function takeDeclined(turn: Turn, { nodeId, round, reason }: Fact<'declined'>): void {
  const known = participantOf(turn, nodeId, round);
  if (known.stage === 'declined' || known.stage === 'evaluated' || known.refusedCut === true) return;
  // what was accepted stays accepted; only under secure aggregation can its node still keep it out of the sum
  if (known.stage === 'accepted' && turn.state.secure === undefined) return;
  turn.record({ kind: 'node.declined', nodeId, data: reason });
}

export function takeEvaluation(turn: Turn, { nodeId, round, adapterSha256, lossSum, tokens }: Fact<'evaluated'>): void {
  const known = participantOf(turn, nodeId, round);
  if (adapterSha256 !== turn.state.adapter.sha256) {
    throw new WeftError(
      'WEFT_UPDATE_WRONG_ADAPTER',
      `the evaluation is of adapter ${adapterSha256}, ${turn.state.adapter.sha256} was offered`,
    );
  }
  if (known.evaluated) return;
  turn.record({ kind: 'evaluation.reported', nodeId, data: { adapterSha256, lossSum, tokens } });
}

/** Refuses an update before its bytes are taken. Called again when they are there, since the round may have moved on. */
export function checkUpload(
  turn: Pick<Turn, 'state'>,
  nodeId: NodeId,
  round: number,
  payloadSha256: string,
): 'expected' | 'accepted' {
  const { participant, isMember } = lookUp(turn, nodeId, round);
  if (participant.update !== undefined) {
    if (participant.update.payload.sha256 === payloadSha256) return 'accepted';
    throw new WeftError(
      'WEFT_UPDATE_DUPLICATE',
      `the update of ${nodeId} in round ${round + 1} is accepted already, this is another one`,
    );
  }
  const phase = activePhase(turn.state);
  if (phase !== 'collecting' || !isMember) {
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `round ${round + 1} is ${phase}, and ${nodeId} is ${isMember ? '' : 'not '}in its cohort`,
    );
  }
  if (turn.state.secure !== undefined) {
    // What is masked has no hash before the masks are known.
    if (secagg.awaitsInput(turn.state.secure.server, placeOf(turn.state.secure, nodeId))) return 'expected';
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `${nodeId} dealt no shares in round ${round + 1}, or complained of those that it was dealt`,
    );
  }
  if (participant.payload?.sha256 !== payloadSha256) {
    throw new WeftError(
      'WEFT_UPDATE_NOT_EXPECTED',
      `${nodeId} reported ready with payload ${participant.payload?.sha256 ?? 'none'} and sends ${payloadSha256}`,
    );
  }
  return 'expected';
}

export function takeUpload(turn: Turn, { nodeId, round, update }: Fact<'uploaded'>): void {
  if (checkUpload(turn, nodeId, round, update.payloadSha256) === 'expected')
    turn.record({ kind: 'update.accepted', nodeId, data: update });
}

function lookUp(
  { state }: Pick<Turn, 'state'>,
  nodeId: NodeId,
  round: number,
): { participant: Participant; isMember: boolean } {
  if (round !== state.round || hasEnded(state)) {
    const now = hasEnded(state) ? `the run is ${state.lifecycle}` : `round ${state.round + 1} is current`;
    throw new WeftError('WEFT_UPDATE_WRONG_ROUND', `the message is about round ${round + 1}, ${now}`);
  }
  const participant = state.participants.get(nodeId);
  if (participant === undefined)
    throw new WeftError('WEFT_UPDATE_NOT_EXPECTED', `round ${round + 1} was not offered to ${nodeId}, or is over`);
  return { participant, isMember: state.cohort.includes(nodeId) };
}

const participantOf = (turn: Turn, nodeId: NodeId, round: number): Participant =>
  lookUp(turn, nodeId, round).participant;
