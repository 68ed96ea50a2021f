import { createHash } from 'node:crypto';
import { z } from 'zod';
import { WeftError } from '../errors/weft-error.ts';
import { ed25519Pem, verifySignature, type Identity } from '../identity.ts';
import { fromBase64 } from '../log/signed-note.ts';
import { payloadType, preAuthEncoding } from './dsse.ts';
import { parseJson, parseStatement, statementBytes, type ModelStatement } from './statement.ts';

/** A Sigstore bundle as model signing with a key writes it: no certificate, no entry of Rekor, one DSSE envelope. */
const mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** 4096 files with names of 100 letters make half of it. */
export const maxBundleBytes = 2 << 20;

/** SHA-256 over the PEM of the public key: how `model_signing` names a key. */
const keyHint = (publicKey: Uint8Array): string => createHash('sha256').update(ed25519Pem(publicKey)).digest('hex');

/** @returns the text of `model.sig` */
export function signFiles(
  { name, files, run }: Pick<ModelStatement, 'name' | 'files'> & Pick<NonNullable<ModelStatement['evidence']>, 'run'>,
  identity: Identity,
): string {
  const evidence = { publicKey: Buffer.from(identity.publicKey).toString('hex'), ...(run && { run }) };
  const payload = statementBytes({ name, files, evidence });
  const hint = keyHint(identity.publicKey);
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const bundle = {
    mediaType,
    verificationMaterial: { publicKey: { hint }, tlogEntries: [] },
    dsseEnvelope: {
      payload: base64(payload),
      payloadType,
      signatures: [{ sig: base64(identity.sign(preAuthEncoding(payload))), keyid: hint }],
    },
  };
  return `${JSON.stringify(bundle)}\n`;
}

const base64Schema = z.string().transform((text, context) => {
  const bytes = fromBase64(text);
  if (bytes === undefined) context.addIssue({ code: 'custom', message: 'is not base64' });
  return bytes ?? Buffer.alloc(0);
});

const bundleSchema = z.object({
  mediaType: z.literal(mediaType),
  verificationMaterial: z.object({ publicKey: z.object({ hint: z.string().max(256).optional() }).optional() }),
  dsseEnvelope: z.object({
    payload: base64Schema,
    payloadType: z.literal(payloadType),
    signatures: z.tuple([z.object({ sig: base64Schema })]),
  }),
});

/** What a bundle says, before anyone has looked at its signature. */
export interface ModelBundle {
  readonly statement: ModelStatement;
  isSignedBy(publicKey: Uint8Array): boolean;
}

/** @throws WEFT_STATEMENT_MALFORMED */
export function parseBundle(bytes: Uint8Array): ModelBundle {
  const malformed = (what: string): WeftError => new WeftError('WEFT_STATEMENT_MALFORMED', what);
  if (bytes.length > maxBundleBytes)
    throw malformed(`the signature has ${bytes.length} bytes, the limit is ${maxBundleBytes}`);
  const parsed = bundleSchema.safeParse(parseJson(bytes));
  if (!parsed.success)
    throw malformed(
      `${bytes.length} bytes are no Sigstore bundle with one in-toto envelope: ${parsed.error.issues[0]?.path.join('.') ?? ''}`,
    );
  const { payload, signatures } = parsed.data.dsseEnvelope;
  const statement = parseStatement(payload);
  if (statement === undefined)
    throw malformed('the signed payload is no statement of model signing v1.0 over whole files');
  return {
    statement,
    isSignedBy: (publicKey) => verifySignature(publicKey, preAuthEncoding(payload), signatures[0].sig),
  };
}
