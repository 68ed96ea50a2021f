import { isSha256, WeftError, type NodeId, type Sha256 } from '@weft/shared';
import type { NodeSays } from '../federation/ports.ts';
import type { RoundInput } from '../round/index.ts';

/** Texts that a node chose, as far as they are kept. */
const limits = { codeLength: 100, messageLength: 1000 } as const;

/**
 * What a node said in the machine's words. Whatever it said, it is alive.
 * @throws WEFT_MESSAGE_MALFORMED for numbers and hashes that cannot be
 */
export function toInputs(
  nodeId: NodeId,
  said: NodeSays,
  { publicKey, organisation }: { publicKey: Uint8Array | undefined; organisation: string | undefined },
): { readonly runId?: string; readonly inputs: readonly RoundInput[] } {
  const heard = { kind: 'heard', nodeId } as const;
  switch (said.case) {
    case 'heartbeat':
    case 'logSeen':
    case 'openRuns':
      return { inputs: [heard] };
    case 'progress':
      return { runId: said.value.runId, inputs: [heard] };
    case 'ready': {
      const { runId, round, payloadSha256, payloadBytes, trainingMs, logSize, beaconCommitment } = said.value;
      const payload = { sha256: toHash(payloadSha256, 'payload'), sizeBytes: toCount(payloadBytes, 'payload_bytes') };
      return {
        runId,
        inputs: [
          {
            kind: 'ready',
            nodeId,
            round,
            payload,
            trainingMs: toCount(trainingMs, 'training_ms'),
            publicKey: Buffer.from(publicKey ?? []).toString('hex'),
            ...(organisation !== undefined && { organisation }),
            logSize: toCount(logSize, 'log_size'),
            ...(beaconCommitment.length > 0 && {
              beaconCommitment: toHash(Buffer.from(beaconCommitment).toString('hex'), 'beacon'),
            }),
          },
        ],
      };
    }
    case 'evaluation': {
      const { runId, round, adapterSha256, lossSum, tokens } = said.value;
      if (!Number.isFinite(lossSum) || lossSum < 0) throw malformed(`loss_sum is ${lossSum}`);
      const counted = toCount(tokens, 'tokens');
      return {
        runId,
        inputs: [
          {
            kind: 'evaluated',
            nodeId,
            round,
            adapterSha256: toHash(adapterSha256, 'adapter'),
            lossSum,
            tokens: counted,
          },
        ],
      };
    }
    case 'decline': {
      const { runId, round, code, message } = said.value;
      const reason = { code: code.slice(0, limits.codeLength), message: message.slice(0, limits.messageLength) };
      return { runId, inputs: [{ kind: 'declined', nodeId, round, reason }] };
    }
    case 'secure': {
      const { runId, round, name, body, signature } = said.value;
      return { runId, inputs: [{ kind: 'secure', nodeId, round, name, signed: { body, signature } }] };
    }
    default:
      throw malformed(`a session does not take ${said.case ?? 'an empty message'} here`);
  }
}

const malformed = (what: string): WeftError => new WeftError('WEFT_MESSAGE_MALFORMED', what);

const toHash = (text: string, what: string): Sha256 => {
  if (!isSha256(text)) throw malformed(`the ${what}'s hash is not 64 lower-case hex digits`);
  return text;
};

const toCount = (value: bigint, what: string): number => {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw malformed(`${what} is ${value}, the limit is ${Number.MAX_SAFE_INTEGER}`);
  return Number(value);
};
