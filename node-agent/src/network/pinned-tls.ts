import { X509Certificate } from 'node:crypto';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { certificateToPem, checkPinnedCertificate, WeftError } from '@weft/shared';

/**
 * TLS that trusts this certificate and nothing else. It is the only root, and the one that the server shows must be it
 * to the byte: a certificate that merely chains to it is refused as well.
 *
 * `rejectUnauthorized` stays true whatever the environment says (NODE_TLS_REJECT_UNAUTHORIZED): without it Node ignores
 * what checkServerIdentity finds, and an impostor gets through.
 * @throws WEFT_CERTIFICATE_RENEWAL where the pin is no certificate
 */
export function pinnedCredentials(pin: Uint8Array): ChannelCredentials {
  requireCertificate(pin);
  return credentials.createSsl(Buffer.from(certificateToPem(pin)), null, null, {
    checkServerIdentity: checkPinnedCertificate([pin]),
    rejectUnauthorized: true,
  });
}

/** @throws WEFT_CERTIFICATE_RENEWAL */
export function requireCertificate(der: Uint8Array): void {
  try {
    new X509Certificate(der);
  } catch (cause) {
    throw new WeftError('WEFT_CERTIFICATE_RENEWAL', `${der.length} bytes are not an X.509 certificate`, {}, { cause });
  }
}
