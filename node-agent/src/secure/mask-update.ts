import { open, readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { create, fromBinary } from '@bufbuild/protobuf';
import { UpdateSchema } from '@weft/proto';
import { domains, sealEnvelope, secagg, sha256, updateEncoding, WeftError, type Identity } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';
import type { PendingUpdate } from '../round/pending-updates.ts';

export interface MaskedUpdate {
  /** As it is sent: of the update's weight and contents it says nothing. */
  readonly update: PendingUpdate;
  readonly chunkRoot: Uint8Array;
  readonly lengthBytes: number;
}

const maskedPath = ({ payloadPath }: PendingUpdate): string => payloadPath.replace(/payload$/, 'masked');

/** y = x + Σ sign · PRG(seed) mod 2ᵇ, packed and written beside the update. The same seeds give the same bytes. */
export async function maskUpdate(
  update: PendingUpdate,
  terms: readonly secagg.MaskTerm[],
  identity: Identity,
): Promise<MaskedUpdate> {
  const { offered } = updateEncoding(update.spec, Number(update.body.values), update.clipNormL2);
  const words = secagg.unpackWords(await readFile(update.payloadPath), offered.words, offered.bits);
  if (words === undefined)
    throw new WeftError('WEFT_INTERNAL', `the kept update is no ${offered.words} words of ${offered.bits} bits`);
  // The session must stay alive beside many masks.
  for (const _step of secagg.addMasksInSteps(words, terms)) await nextTurn();
  secagg.reduceWords(words, offered.bits);
  const payload = secagg.packWords(words, offered.bits);
  await writePrivateFile(maskedPath(update), payload);
  return describe(update, payload, identity);
}

/** The masked update that an earlier process wrote. */
export async function readMasked(update: PendingUpdate, identity: Identity): Promise<MaskedUpdate> {
  const file = await open(maskedPath(update), 'r');
  try {
    return describe(update, await file.readFile(), identity);
  } finally {
    await file.close();
  }
}

function describe(update: PendingUpdate, payload: Uint8Array, identity: Identity): MaskedUpdate {
  const root = new secagg.ChunkRoot();
  root.add(payload);
  const body = {
    ...update.body,
    payloadSha256: sha256(payload),
    payloadBytes: BigInt(payload.length),
    weight: 0n,
    clipped: false,
    saturatedValues: 0n,
  };
  const envelope = sealEnvelope(domains.update, UpdateSchema, create(UpdateSchema, body), identity);
  return {
    update: {
      ...update,
      update: envelope,
      body: fromBinary(UpdateSchema, envelope.body),
      payloadPath: maskedPath(update),
    },
    chunkRoot: root.root(),
    lengthBytes: payload.length,
  };
}
