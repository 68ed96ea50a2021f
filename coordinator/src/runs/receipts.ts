import { ReceiptSchema, type Envelope } from '@weft/proto';
import { domains, sealEnvelope, type NodeId } from '@weft/shared';
import type { StoredEvent } from '../store/events.ts';
import type { RunContext } from './run-context.ts';

type Accepted = StoredEvent<'update.accepted'>;

/** The row of an accepted update, however long ago. */
export const findAccepted = (
  { store }: RunContext,
  runId: string,
  round: number,
  nodeId: NodeId,
): Accepted | undefined => store.read({ runId, round, nodeId, kinds: ['update.accepted'], limit: 1 })[0];

/** Made from the row alone: the same update gets the same bytes again. */
export const sealReceipt = (
  { federationId, identity }: RunContext,
  { runId, round, nodeId, data, at }: Accepted,
): Envelope =>
  sealEnvelope(
    domains.receipt,
    ReceiptSchema,
    {
      federationId,
      runId: runId!,
      round: round!,
      nodeId: nodeId!,
      updateSha256: data.updateSha256,
      payloadSha256: data.payloadSha256,
      acceptedAtMs: BigInt(at),
    },
    identity,
  );
