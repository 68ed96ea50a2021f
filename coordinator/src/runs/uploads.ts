import { UpdateSchema, type Envelope } from '@weft/proto';
import { domains, openEnvelope, parseBody, sha256, WeftError, type NodeId, type Sha256 } from '@weft/shared';
import type { UploadSink, UploadState } from '../federation/ports.ts';
import { checkUpload } from '../round/index.ts';
import type { PartialBlob } from '../store/blob-store.ts';
import { checkBinding, type BoundUpdate } from './binding.ts';
import { createUploadCheck } from './payload.ts';
import { findAccepted, sealReceipt } from './receipts.ts';
import type { Run } from './run.ts';
import type { RunContext } from './run-context.ts';

export interface Uploads {
  open(nodeId: NodeId, envelope: Envelope, offset: number): Promise<UploadSink>;
  status(nodeId: NodeId, upload: { runId: string; round: number; payloadSha256: string }): Promise<UploadState>;
}

export function createUploads(context: RunContext, runOf: (runId: string) => Run | undefined): Uploads {
  const { blobs, clock, onPoint } = context;
  /** One upload a node: a connection that came later takes over from one that broke unnoticed. */
  const current = new Map<NodeId, symbol>();

  return {
    async open(nodeId, envelope, offset) {
      const publicKey = context.registry.publicKey(nodeId);
      if (publicKey === undefined) throw new WeftError('WEFT_NODE_UNKNOWN', `no node ${nodeId} has enrolled here`);
      // A signature by another enrolled node is not forged, but it is not this session's either.
      if (!Buffer.from(envelope.keyId).equals(Buffer.from(sha256(publicKey), 'hex'))) {
        const { nodeId: signer } = parseBody(UpdateSchema, envelope.body);
        throw new WeftError(
          'WEFT_UPDATE_WRONG_NODE',
          `the update is signed by the key of ${signer}, the session belongs to ${nodeId}`,
        );
      }
      const update = openEnvelope(domains.update, UpdateSchema, envelope, publicKey);
      const run = runOf(update.runId);
      if (run === undefined)
        throw new WeftError('WEFT_UPDATE_WRONG_RUN', `there is no run ${update.runId.slice(0, 40)} here`);
      const updateSha256 = sha256(envelope.body);
      const accepted = findAccepted(context, run.id, update.round, nodeId);
      if (accepted !== undefined) {
        if (accepted.data.updateSha256 === updateSha256)
          return repeatedSink(async () => sealReceipt(context, accepted));
        throw new WeftError(
          'WEFT_UPDATE_DUPLICATE',
          `the update of ${nodeId} in round ${update.round + 1} is accepted already, this is another one`,
        );
      }
      const bound = checkBinding(update, nodeId, run.state, run.layout);
      checkUpload(run, nodeId, update.round, bound.payload.sha256);

      const token = Symbol(nodeId);
      current.set(nodeId, token);
      const openedAt = clock.now();
      /** Everything holds and the bytes are durable: one row, then the receipt. */
      const accept = async (chunkRoot?: Sha256): Promise<Envelope> => {
        const input = {
          kind: 'uploaded',
          nodeId,
          round: update.round,
          update: {
            updateSha256,
            update: Buffer.from(envelope.body).toString('base64'),
            signature: Buffer.from(envelope.signature).toString('base64'),
            payloadSha256: bound.payload.sha256,
            payloadBytes: bound.payload.sizeBytes,
            weight: bound.weight,
            clipped: bound.clipped,
            saturatedValues: bound.saturatedValues,
            values: bound.values,
            transferMs: clock.now() - openedAt,
            ...(chunkRoot && { chunkRoot }),
          },
        } as const;
        try {
          run.dispatch(input);
        } catch (error) {
          // The round went on without it. After a full disk it is still wanted, and its bytes are here.
          if (!run.neededUpdates().includes(bound.payload.sha256)) await blobs.updates.remove(bound.payload.sha256);
          throw error;
        }
        const row = findAccepted(context, run.id, update.round, nodeId);
        if (row === undefined) throw new WeftError('WEFT_INTERNAL', 'an accepted update has no row');
        onPoint('before-receipt');
        const receipt = sealReceipt(context, row);
        setImmediate(() => onPoint('after-receipt'));
        return receipt;
      };

      // The process died between the file and its row: nothing is missing but the row.
      if ((await blobs.updates.sizeBytes(bound.payload.sha256)) === bound.payload.sizeBytes) {
        return repeatedSink(async () => {
          const check = createUploadCheck(bound);
          for await (const piece of blobs.updates.read(bound.payload.sha256)) check.take(piece);
          return accept(check.chunkRoot());
        });
      }

      const name = partialName(run.id, update.round, nodeId, bound.payload.sha256);
      await removeOthers(context, name);
      const partial = await blobs.updates.openPartial(name);
      try {
        if (current.get(nodeId) !== token) throw takenOver();
        if (offset > partial.sizeBytes) {
          throw new WeftError(
            'WEFT_TRANSFER_OFFSET',
            `${partial.sizeBytes} bytes are here, the upload goes on at ${offset}`,
          );
        }
        await partial.truncate(offset);
      } catch (error) {
        await partial.close();
        throw error;
      }
      return partialSink(partial, bound, {
        requireCurrent() {
          // Two connections must not write the same file.
          if (current.get(nodeId) !== token) throw takenOver();
          checkUpload(run, nodeId, update.round, bound.payload.sha256);
        },
        heard: () => {
          onPoint('mid-upload');
          run.heard(nodeId);
        },
        accept,
      });
    },

    async status(nodeId, { runId, round, payloadSha256 }) {
      const run = runOf(runId);
      if (run === undefined) throw new WeftError('WEFT_UPDATE_WRONG_RUN', `there is no run ${runId.slice(0, 40)} here`);
      const accepted = findAccepted(context, run.id, round, nodeId);
      if (accepted?.data.payloadSha256 === payloadSha256) {
        return { receivedBytes: accepted.data.payloadBytes, receipt: sealReceipt(context, accepted) };
      }
      checkUpload(run, nodeId, round, payloadSha256);
      // checkUpload held it against what this very node announced.
      const payload = payloadSha256 as Sha256;
      return {
        receivedBytes:
          (await blobs.updates.sizeBytes(payload)) ??
          (await blobs.updates.partialBytes(partialName(run.id, round, nodeId, payload))),
      };
    },
  };
}

const takenOver = (): WeftError =>
  new WeftError('WEFT_TRANSFER_TRUNCATED', 'a later connection of this node took the upload over');

interface SinkOwner {
  /** @throws where another connection took over, or the round no longer waits for this update */
  requireCurrent(): void;
  heard(): void;
  accept(chunkRoot: Sha256 | undefined): Promise<Envelope>;
}

function partialSink(partial: PartialBlob, bound: BoundUpdate, owner: SinkOwner): UploadSink {
  const { payload } = bound;
  return {
    async write(chunk) {
      owner.requireCurrent();
      if (partial.sizeBytes + chunk.length > payload.sizeBytes) {
        throw new WeftError(
          'WEFT_TRANSFER_TOO_LARGE',
          `the upload reaches ${partial.sizeBytes + chunk.length} bytes, ${payload.sizeBytes} were announced`,
        );
      }
      await partial.write(chunk);
      owner.heard();
    },
    async finish() {
      const check = createUploadCheck(bound);
      try {
        owner.requireCurrent();
        await partial.seal(payload, check.take);
      } catch (error) {
        await partial.close();
        throw error;
      }
      return owner.accept(check.chunkRoot());
    },
    suspend: () => partial.close(),
  };
}

/** All bytes are here already; those that come once more are not looked at. */
const repeatedSink = (finish: () => Promise<Envelope>): UploadSink => ({
  write: async () => {},
  finish,
  suspend: async () => {},
});

const roundPrefix = (runId: string, round: number): string => `${runId}_${round}_`;
const nodePrefix = (runId: string, round: number, nodeId: NodeId): string => `${roundPrefix(runId, round)}${nodeId}_`;
const partialName = (runId: string, round: number, nodeId: NodeId, payload: Sha256): string =>
  nodePrefix(runId, round, nodeId) + payload.slice(0, 32);

/** A node that announced another payload gives up the first: one unfinished upload a node. */
async function removeOthers({ blobs }: RunContext, name: string): Promise<void> {
  const prefix = name.slice(0, name.lastIndexOf('_') + 1);
  for (const other of await blobs.updates.listPartials()) {
    if (other.startsWith(prefix) && other !== name) await blobs.updates.removePartial(other);
  }
}

export async function removePartials({ blobs }: RunContext, keep: (name: string) => boolean): Promise<void> {
  for (const name of await blobs.updates.listPartials()) if (!keep(name)) await blobs.updates.removePartial(name);
}

export const belongsToRound = (name: string, runId: string, round: number): boolean =>
  name.startsWith(roundPrefix(runId, round));
