import { isWeftError, WeftError } from '../errors/weft-error.ts';
import { endorsementBytes, readEndorsement, type Endorsement } from '../endorsement.ts';
import { toNodeId, verifySignature, type Identity } from '../identity.ts';
import { formatVerifierKey, fromBase64, maxSignatures, parseVerifierKey, verifierKey } from './signed-note.ts';
import type { VerifierKey } from './signed-note.ts';

/**
 * Who cosigns a log. An organisation signed for a node (`endorsement.ts`), the node signs for the key with which it
 * cosigns: a chain that anyone can follow from the file `witnesses` beside the log, without asking the coordinator.
 */
export interface Witness {
  /** C2SP, algorithm cosignature. */
  readonly key: VerifierKey;
  /** Ed25519, 32 bytes. */
  readonly nodeKey: Uint8Array;
  /** The node's, over the witness key. */
  readonly nodeSignature: Uint8Array;
  /** The organisation's word for the node, 104 bytes; none where it belongs to no organisation. */
  readonly endorsement: Uint8Array;
}

/** Two lines are about 400 bytes; a checkpoint holds no more cosignatures than this. */
export const maxWitnesses = maxSignatures - 1;
export const maxWitnessesBytes = 64 * 1024;

export const witnessKeyOf = (nodeKey: Uint8Array, publicKey: Uint8Array): VerifierKey =>
  verifierKey(`weft-witness/${toNodeId(nodeKey)}`, publicKey, 'cosignature');

/** "weft/1/witness" ‖ 0x00 ‖ federation id ‖ 0x00 ‖ the witness's Ed25519 key. */
const signedKey = (federationId: string, publicKey: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`weft/1/witness\0${federationId}\0`), publicKey]);

export const signWitnessKey = (node: Identity, federationId: string, publicKey: Uint8Array): Uint8Array =>
  node.sign(signedKey(federationId, publicKey));

/** Whether the node stands behind the key. */
export const witnessHolds = ({ key, nodeKey, nodeSignature }: Witness, federationId: string): boolean =>
  key.algorithm === 'cosignature' &&
  key.name === witnessKeyOf(nodeKey, key.publicKey).name &&
  verifySignature(nodeKey, signedKey(federationId, key.publicKey), nodeSignature);

/** The organisation for which it cosigns, and until when; undefined where the chain does not lead to one. */
export const wordOfWitness = (witness: Witness, federationId: string): Endorsement | undefined =>
  witnessHolds(witness, federationId) ? readEndorsement(witness.endorsement, federationId, witness.nodeKey) : undefined;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** One line each: verifier key, node key, the node's signature, the organisation's word or a dash; base64. */
export const formatWitnesses = (witnesses: readonly Witness[]): string =>
  witnesses
    .map(({ key, nodeKey, nodeSignature, endorsement }) => {
      const word = endorsement.length === 0 ? '-' : base64(endorsement);
      return `${formatVerifierKey(key)} ${base64(nodeKey)} ${base64(nodeSignature)} ${word}\n`;
    })
    .join('');

/** @throws WEFT_LOG_MALFORMED */
export function parseWitnesses(bytes: Uint8Array): Witness[] {
  if (bytes.length > maxWitnessesBytes)
    throw malformed(`a list of witnesses of ${bytes.length} bytes, at most ${maxWitnessesBytes} are allowed`);
  const text = Buffer.from(bytes).toString('latin1');
  if (text !== '' && !text.endsWith('\n')) throw malformed('a list of witnesses does not end with a line end');
  const lines = text.split('\n').slice(0, -1);
  if (lines.length > maxWitnesses)
    throw malformed(`a list of ${lines.length} witnesses, at most ${maxWitnesses} are allowed`);
  const witnesses = lines.map(parseLine);
  if (new Set(witnesses.map(({ key }) => key.name)).size !== witnesses.length)
    throw malformed('a list of witnesses names one of them twice');
  return witnesses;
}

const malformed = (what: string): WeftError => new WeftError('WEFT_LOG_MALFORMED', what);

function parseLine(line: string): Witness {
  const [key = '', node = '', signature = '', word = '', ...more] = line.split(' ');
  const nodeKey = fromBase64(node);
  const nodeSignature = fromBase64(signature);
  const endorsement = word === '-' ? Buffer.alloc(0) : fromBase64(word);
  const whole =
    more.length === 0 &&
    nodeKey?.length === 32 &&
    nodeSignature?.length === 64 &&
    (endorsement?.length === endorsementBytes || word === '-');
  if (!whole) throw malformed('a line of witnesses is a verifier key, a node’s key, its signature and an endorsement');
  return {
    key: parseVerifierKey(key),
    nodeKey: new Uint8Array(nodeKey),
    nodeSignature: new Uint8Array(nodeSignature),
    endorsement: new Uint8Array(endorsement!),
  };
}

/** A verifier key that a node announced; undefined for one that is none. */
export function readWitnessKey(text: string): VerifierKey | undefined {
  try {
    return parseVerifierKey(text);
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return undefined;
  }
}
