import { readFile, stat, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { createIdentity, log, organisationFingerprint, WeftError, type Identity } from '@weft/shared';

/** Before the seed in its file: whoever pastes that where a public key is due, is told so. */
const secretMark = 'weft-secret-key_';
const hexKey = /^[0-9a-f]{64}$/;

/** @throws WEFT_USAGE where the text is no key */
export const keyOf = (text: string, what: string): Uint8Array => {
  if (!hexKey.test(text.trim()))
    throw new WeftError('WEFT_USAGE', `${what} is no public key: that is 64 lower-case hex digits`);
  return Buffer.from(text.trim(), 'hex');
};

/** Makes an organisation's secret key, for its owner alone. @throws WEFT_EXPORT_PATH_TAKEN */
export const writeOrganisation = async (file: string): Promise<Identity> => {
  const { identity, seed } = createIdentity();
  try {
    await writeFile(file, `${secretMark}${Buffer.from(seed).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new WeftError('WEFT_EXPORT_PATH_TAKEN', `${file} exists`, {}, { cause });
  }
  return identity;
};

/** The secret key that `weft org create` wrote. @throws WEFT_USAGE, WEFT_ORG_KEY_EXPOSED */
export const readOrganisation = async (file: string): Promise<Identity> => {
  const text = (await readFile(file, 'utf8')).trim();
  const seed = text.startsWith(secretMark) ? text.slice(secretMark.length) : '';
  if (!hexKey.test(seed)) throw new WeftError('WEFT_USAGE', `${file} holds no secret key of \`weft org create\``);
  const { mode } = await stat(file);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new WeftError('WEFT_ORG_KEY_EXPOSED', `${file} has mode ${(mode & 0o777).toString(8)}, it must be 600`);
  return createIdentity(Buffer.from(seed, 'hex')).identity;
};

/** What others may know of an organisation. */
export const publicPartOf = ({
  publicKey,
}: Identity): { readonly publicKey: string; readonly fingerprint: string } => ({
  publicKey: Buffer.from(publicKey).toString('hex'),
  fingerprint: organisationFingerprint(publicKey),
});

/** A public key: in hex as `weft org create` prints it, or a federation's vkey. @throws WEFT_USAGE, WEFT_LOG_MALFORMED */
export const publicKeyOf = (text: string): Uint8Array =>
  text.includes('+') ? log.parseVerifierKey(text.trim()).publicKey : keyOf(text, '--key');
