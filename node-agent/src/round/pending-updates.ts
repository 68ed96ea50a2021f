import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EnvelopeSchema, UpdateSchema, type Envelope, type Update } from '@weft/proto';
import { runSpecSchema, sha256File, type RunId, type RunSpec } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

const pendingSchema = z.strictObject({
  /** The signed Update, an Envelope in base64: what is sent after a restart is what was meant before it. */
  update: z.string(),
  runName: z.string(),
  /** The run spec that the node agreed to. */
  spec: runSpecSchema,
  /** What it was clipped to. */
  clipNormL2: z.number(),
  normL2: z.number(),
  trainingMs: z.number(),
});

/** An update that is trained and has no receipt yet. */
export interface PendingUpdate {
  readonly update: Envelope;
  readonly body: Update;
  readonly payloadPath: string;
  readonly runName: string;
  readonly spec: RunSpec;
  readonly clipNormL2: number;
  readonly normL2: number;
  readonly trainingMs: number;
}

/** Updates on disk between training and receipt: an agent that was killed sends what it has instead of training again. */
export interface PendingUpdates {
  save(pending: Omit<PendingUpdate, 'payloadPath' | 'body'>, payload: Uint8Array): Promise<PendingUpdate>;
  /** undefined where there is none, or where it is damaged. */
  find(runId: RunId, round: number): Promise<PendingUpdate | undefined>;
  /** Those of this run up to and with this round. */
  remove(runId: string, lastRound: number): Promise<void>;
}

export function createPendingUpdates(folder: string): PendingUpdates {
  const fileOf = (runId: string, round: number, extension: 'json' | 'payload'): string =>
    join(folder, `${runId}.${round}.${extension}`);
  return {
    async save({ update, ...facts }, payload) {
      const body = fromBinary(UpdateSchema, update.body);
      const payloadPath = fileOf(body.runId, body.round, 'payload');
      const json = { ...facts, update: Buffer.from(toBinary(EnvelopeSchema, update)).toString('base64') };
      await writePrivateFile(payloadPath, payload);
      // after the payload: who finds this file finds the other one too
      await writePrivateFile(fileOf(body.runId, body.round, 'json'), JSON.stringify(json));
      return { ...facts, update, body, payloadPath };
    },
    async find(runId, round) {
      try {
        const { update: base64, ...facts } = pendingSchema.parse(
          JSON.parse(await readFile(fileOf(runId, round, 'json'), 'utf8')),
        );
        const update = fromBinary(EnvelopeSchema, Buffer.from(base64, 'base64'));
        const body = create(UpdateSchema, fromBinary(UpdateSchema, update.body));
        const payloadPath = fileOf(runId, round, 'payload');
        const isWhole =
          body.runId === runId && body.round === round && (await sha256File(payloadPath)) === body.payloadSha256;
        return isWhole ? { ...facts, update, body, payloadPath } : undefined;
      } catch {
        return undefined;
      }
    },
    async remove(runId, lastRound) {
      for (const name of await readdir(folder)) {
        const [run, round] = name.split('.');
        if (run === runId && Number(round) <= lastRound) await rm(join(folder, name), { force: true });
      }
    },
  };
}
