import { X509Certificate } from 'node:crypto';
                                                
import { credentials,                         } from '@grpc/grpc-js';
import { certificateToPem, checkPinnedCertificate, WeftError } from '../../../shared/src/index.js';

/**
 * TLS that trusts these certificates and nothing else. Each is a root of its own, and the one that the server shows
 * must be one of them to the byte: a certificate that merely chains to a pinned one is refused as well.
 *
 * `rejectUnauthorized` stays true whatever the environment says (NODE_TLS_REJECT_UNAUTHORIZED): without it Node ignores
 * what checkServerIdentity finds, and an impostor gets through.
 * @param onAccepted learns which pin the server showed
 * @throws WEFT_CERTIFICATE_RENEWAL where a pin is no certificate
 */
export function pinnedCredentials(
  pins                       ,
  onAccepted                                       = () => {},
)                     {
  for (const der of pins) requireCertificate(der);
  const checkPin = checkPinnedCertificate(pins);
  const checkServerIdentity = (host        , peer                 )                    => {
    const refused = checkPin(host, peer);
    if (refused === undefined) onAccepted(peer.raw);
    return refused;
  };
  return credentials.createSsl(Buffer.from(pins.map(certificateToPem).join('')), null, null, {
    checkServerIdentity,
    rejectUnauthorized: true,
  });
}

/** @throws WEFT_CERTIFICATE_RENEWAL */
export function requireCertificate(der            )       {
  try {
    new X509Certificate(der);
  } catch (cause) {
    throw new WeftError('WEFT_CERTIFICATE_RENEWAL', `${der.length} bytes are not an X.509 certificate`, {}, { cause });
  }
}
