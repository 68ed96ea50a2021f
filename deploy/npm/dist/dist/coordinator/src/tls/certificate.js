import { X509Certificate } from 'node:crypto';
import { coordinatorServerName, sha256,             } from '../../../shared/src/index.js';
import { generate } from 'selfsigned';

                              
                                  
                                 
                                                               
                           
                          
                             
 

/** Long enough that nobody meets the end by surprise, short enough that renewal is used and so works. */
const lifetimeMs = 2 * 365 * 24 * 3600 * 1000;
/** A node's clock may be behind. */
const clockSkewMs = 24 * 3600 * 1000;

/** A self-signed ECDSA P-256 certificate. Its one name is fixed: nodes trust it by its bytes, wherever it is reached. */
export async function createCertificate(now        )                       {
  const { cert, private: privateKeyPem } = await generate([{ name: 'commonName', value: 'weft' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - clockSkewMs),
    notAfterDate: new Date(now + lifetimeMs),
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: coordinatorServerName }] }],
  });
  return parseCertificate(cert, privateKeyPem);
}

export function parseCertificate(certificatePem        , privateKeyPem        )              {
  const parsed = new X509Certificate(certificatePem);
  return {
    certificatePem,
    privateKeyPem,
    der: parsed.raw,
    sha256: sha256(parsed.raw),
    expiresAt: Date.parse(parsed.validTo),
  };
}
