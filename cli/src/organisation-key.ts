import { readFile } from 'node:fs/promises';
import { createIdentity, log, WeftError, type Identity } from '@weft/shared';

/** @throws WEFT_USAGE where the text is no key */
export const keyOf = (text: string, what: string): Uint8Array => {
  if (!/^[0-9a-f]{64}$/.test(text.trim()))
    throw new WeftError('WEFT_USAGE', `${what} is no key of 64 lower-case hex digits`);
  return Buffer.from(text.trim(), 'hex');
};

/** The secret key that `weft org create` wrote. */
export const readOrganisation = async (file: string): Promise<Identity> =>
  createIdentity(keyOf(await readFile(file, 'utf8'), file)).identity;

/** A public key: in hex as `weft org create` prints it, or a federation's vkey. @throws WEFT_USAGE, WEFT_LOG_MALFORMED */
export const publicKeyOf = (text: string): Uint8Array =>
  text.includes('+') ? log.parseVerifierKey(text.trim()).publicKey : keyOf(text, '--key');
