import { X509Certificate } from 'node:crypto';
import { coordinatorServerName } from '@weft/shared';
import { generate } from 'selfsigned';

export interface TestCertificate {
  readonly pem: string;
  readonly keyPem: string;
  readonly der: Uint8Array;
}

/** A self-signed certificate as coordinators have; the same subject each time unless told otherwise. */
export async function createTestCertificate(commonName = 'weft'): Promise<TestCertificate> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: coordinatorServerName }] }],
  });
  return { pem: made.cert, keyPem: made.private, der: new X509Certificate(made.cert).raw };
}
