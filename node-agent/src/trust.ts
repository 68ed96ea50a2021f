import { readFile, stat } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { CertificateRenewalSchema, type CertificateRenewal } from '@weft/proto';
import { WeftError } from '@weft/shared';
import { readFederation, writeFederation, type Federation } from './home/federation-file.ts';
import { openHome } from './home/home.ts';
import { acceptRenewal } from './network/renewal.ts';

/** A certificate is about 300 bytes; somebody who names another file should hear so. */
const maxFileBytes = 64 * 1024;

/**
 * Pins the certificate of a renewal file (a CertificateRenewal, as bytes or in base64), for a node that was away while
 * the coordinator told it to the others.
 * @throws WEFT_CERTIFICATE_RENEWAL, WEFT_SIGNATURE_INVALID, WEFT_WRONG_FEDERATION, WEFT_HOME_LOCKED
 */
export async function trustRenewal(homePath: string, file: string): Promise<Federation> {
  const renewal = await readRenewal(file);
  const home = await openHome(homePath);
  try {
    const renewed = acceptRenewal(await readFederation(homePath), renewal);
    await writeFederation(homePath, renewed);
    return renewed;
  } finally {
    await home.release();
  }
}

async function readRenewal(file: string): Promise<CertificateRenewal> {
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new WeftError('WEFT_CERTIFICATE_RENEWAL', `${file} cannot be read`, {}, { cause });
  });
  if (size > maxFileBytes)
    throw new WeftError('WEFT_CERTIFICATE_RENEWAL', `${file} has ${size} bytes, the limit is ${maxFileBytes}`);
  const bytes = await readFile(file);
  const text = bytes.toString('latin1').trim();
  const message = /^[\w+/-]+=*$/.test(text) ? Buffer.from(text, 'base64') : bytes;
  try {
    return fromBinary(CertificateRenewalSchema, message, { readUnknownFields: false });
  } catch (cause) {
    throw new WeftError('WEFT_CERTIFICATE_RENEWAL', `${file} is not a renewal file`, {}, { cause });
  }
}
