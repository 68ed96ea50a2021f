import { createHash, type Hash } from 'node:crypto';
import { create, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { CoordinatorMessageSchema, EnvelopeSchema, SessionResponseSchema } from '@weft/proto';
import { domains, signDigest, type Identity } from '@weft/shared';
import type { CoordinatorSays } from '../federation/ports.ts';

/** A message to one node, but for what only its session knows: those who are told the same share its bytes. */
export interface MessageBytes {
  readonly sizeBytes: number;
  /** @returns the exact bytes of a SessionResponse with the signed message; each is copied once */
  seal(header: { readonly sessionId: Uint8Array; readonly sequence: bigint }, identity: Identity): Uint8Array;
}

/** Session id, sequence number, key id, signature, and the tags and lengths of all parts. */
const framingBytes = 160;

/** The field `kind` of a CoordinatorMessage: what comes before the session's own fields. */
interface KindBytes {
  readonly pieces: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** SHA-256 so far. */
  readonly hash: Hash;
}

const known = new WeakMap<CoordinatorSays, KindBytes>();
const knownValues = new WeakMap<CoordinatorSays, Uint8Array>();

/** @param own told to this node alone: more fields of the same kind of message */
export function messageBytes(message: CoordinatorSays, own?: CoordinatorSays): MessageBytes {
  const kind = own ? kindBytes(message, own) : remembered(known, message, () => kindBytes(message));
  return {
    sizeBytes: kind.sizeBytes + framingBytes,
    seal(header, identity) {
      // A parser takes fields in any order. What many are told comes first, so that its hash is worked out once.
      const tail = toBinary(CoordinatorMessageSchema, create(CoordinatorMessageSchema, header));
      const signature = signDigest(domains.coordinatorMessage, kind.hash.copy().update(tail).digest(), identity);
      const after = bytesOf(EnvelopeSchema, { keyId: Buffer.from(identity.keyId, 'hex'), signature });
      const bodyBytes = kind.sizeBytes + tail.length;
      const before = lengthOf(EnvelopeSchema.field.body.number, bodyBytes);
      const start = lengthOf(SessionResponseSchema.field.envelope.number, before.length + bodyBytes + after.length);
      return Buffer.concat([start, before, ...kind.pieces, tail, after]);
    },
  };
}

function kindBytes(message: CoordinatorSays, own?: CoordinatorSays): KindBytes {
  const values = [remembered(knownValues, message, () => valueBytes(message)), ...(own ? [valueBytes(own)] : [])];
  const valueSize = values.reduce((sum, { length }) => sum + length, 0);
  const pieces = [lengthOf(CoordinatorMessageSchema.field[message.case].number, valueSize), ...values];
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return { pieces, sizeBytes: pieces[0]!.length + valueSize, hash };
}

function valueBytes({ case: name, value }: CoordinatorSays): Uint8Array {
  const { message } = CoordinatorMessageSchema.field[name];
  return bytesOf(message!, value);
}

const bytesOf = <S extends DescMessage>(schema: S, value: MessageInitShape<S>): Uint8Array =>
  toBinary(schema, create(schema, value));

/** Tag and length before the bytes of a field. */
const lengthOf = (field: number, sizeBytes: number): Uint8Array =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(sizeBytes).finish();

function remembered<T>(by: WeakMap<CoordinatorSays, T>, message: CoordinatorSays, make: () => T): T {
  const found = by.get(message) ?? make();
  by.set(message, found);
  return found;
}
