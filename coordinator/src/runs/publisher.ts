import { log, runSpecBytes, toWeftError, type NodeId, type RunId, type RunSpec } from '@weft/shared';
import type { PublishedRounds } from '../log/published-rounds.ts';
import type { StoredEvent } from '../store/events.ts';
import type { RunContext } from './run-context.ts';

/** Puts beside the log what a run's spec lets everyone see, and takes it away when its window is over. */
export interface Publisher {
  /** The log names it by hash; with it anyone can recompute the first adapter. */
  publishSpec(spec: RunSpec): Promise<void>;
  /** A committed round, from its rows; before its updates are deleted. Again does nothing. */
  publishRound(runId: RunId, spec: RunSpec, round: number): Promise<void>;
  /** What the process before this one committed and had not published. */
  recover(runId: RunId, spec: RunSpec): Promise<void>;
  close(): void;
}

/** Of a coordinator that keeps no log. */
export const noPublisher: Publisher = {
  publishSpec: async () => {},
  publishRound: async () => {},
  recover: async () => {},
  close: () => {},
};

export function createPublisher(
  { store, blobs, clock, logger, onPoint }: Pick<RunContext, 'store' | 'blobs' | 'clock' | 'logger' | 'onPoint'>,
  published: PublishedRounds,
): Publisher {
  let cancelAlarm: (() => void) | undefined;
  let closed = false;
  const sweep = async (): Promise<void> => {
    const { next, malformed } = await published.sweep(clock.now());
    for (const file of malformed) logger.warn({ file }, 'the manifest of a published round does not parse');
    cancelAlarm?.();
    if (next !== undefined && !closed) cancelAlarm = clock.alarm(next, () => void sweepSafely());
  };
  const sweepSafely = (): Promise<void> =>
    sweep().catch((error: unknown) => {
      logger.error({ code: toWeftError(error).code, err: error }, 'published rounds could not be removed');
    });

  const publish = async (committed: StoredEvent<'round.committed'>, { auditDays }: { auditDays: number }) => {
    const { data, at } = committed;
    const [runId, round] = [committed.runId!, committed.round!];
    const until = log.windowEnd(at, auditDays);
    if (until <= clock.now() || (await published.hasRound(runId, round))) return;
    const rowsOf = <K extends 'round.started' | 'secagg.opened' | 'secagg.moved' | 'update.accepted'>(kind: K) =>
      store.read({ runId, round, kinds: [kind] });
    const [started] = rowsOf('round.started');
    const [opened] = rowsOf('secagg.opened');
    if (started === undefined || opened === undefined) return;
    const summed = new Set<NodeId>(data.nodeIds);
    const accepted = rowsOf('update.accepted').filter(({ nodeId }) => nodeId !== undefined && summed.has(nodeId));
    const keyOf = new Map(opened.data.members.map(({ nodeId, publicKey }) => [nodeId, publicKey]));
    const body = (base64: string) => published.putBody(Buffer.from(base64, 'base64'));
    const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

    const inputs: log.RoundManifest['inputs'] = [];
    for (const { nodeId, data: update } of accepted) {
      await published.copyBody(update.payloadSha256, blobs.updates.path(update.payloadSha256));
      inputs.push({
        publicKey: keyOf.get(nodeId!)!,
        update: await body(update.update),
        signature: hexOf(update.signature),
        vector: update.payloadSha256,
      });
    }
    const previousAdapter = started.data.adapter.sha256;
    await published.copyBody(previousAdapter, blobs.adapters.path(previousAdapter));
    const messages: log.RoundManifest['messages'] = [];
    for (const { data: moved } of rowsOf('secagg.moved')) {
      const { kind, revoked } = moved;
      if (kind === 'deadline') messages.push({ kind });
      else if (kind === 'revoked') messages.push({ kind, publicKey: keyOf.get(revoked!)! });
      else messages.push({ kind, body: await body(moved.body ?? ''), signature: hexOf(moved.signature ?? '') });
    }
    const offer = await body(opened.data.offer);
    const invited = opened.data.members.map(({ publicKey }) => publicKey);
    onPoint('before-manifest');
    await published.putRound({ version: 1, runId, round, until, offer, invited, messages, inputs, previousAdapter });
  };

  return {
    async publishSpec(spec) {
      await published.putBody(runSpecBytes(spec));
    },
    async publishRound(runId, { aggregation: { secure } }, round) {
      if (!secure.publishInputs) return;
      const [committed] = store.read({ runId, round, kinds: ['round.committed'] });
      if (committed === undefined) return;
      await publish(committed, secure);
      // Whoever waits for this round deletes its updates next: what other rounds left behind must not stop that.
      await sweepSafely();
    },
    async recover(runId, { aggregation: { secure } }) {
      if (!secure.publishInputs) return;
      const committed = store.read({ runId, kinds: ['round.committed'] });
      for (const row of committed) {
        try {
          await publish(row, secure);
        } catch (error) {
          const { code } = toWeftError(error);
          logger.warn({ runId, round: row.round, code, err: error }, 'a round could not be published');
        }
      }
      await sweepSafely();
    },
    close() {
      closed = true;
      cancelAlarm?.();
    },
  };
}
