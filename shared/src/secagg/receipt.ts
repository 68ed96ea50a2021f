import type { Body, Signed } from './bodies.ts';
import { sha256Bytes } from './keys.ts';
import type { NodeState } from './node-state.ts';
import { openSigned, sameBytes } from './session.ts';

/**
 * A receipt for the very input that this node sent in this session. It is kept outside of the session: what it promises,
 * that a Cut or Abort of the round stands in the log by a time, is due after the session's secrets are gone.
 * @returns undefined for one that is of something else, or that the coordinator did not sign
 */
export function readReceipt(
  { offer, session, place, input }: NodeState,
  signed: Signed,
  coordinatorKey: Uint8Array,
): Body<'receipt'> | undefined {
  if (!offer || !session || place === undefined || !input) return undefined;
  const receipt = openSigned('receipt', signed, coordinatorKey);
  const holds =
    receipt &&
    receipt.index === place &&
    sameBytes(receipt.roundId, offer.roundId) &&
    sameBytes(receipt.sessionId, session.shardOf[place]!.sessionId) &&
    sameBytes(receipt.maskedInputHash, sha256Bytes(input.body));
  return holds ? receipt : undefined;
}
