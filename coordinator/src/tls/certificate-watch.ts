import type { CertificateRenewal } from '@weft/proto';
import type { Logger } from 'pino';
import type { Certificate } from './certificate.ts';
import type { CertificateStore } from './certificate-store.ts';

const checkEveryMs = 24 * 3600 * 1000;

/** The certificate that this process shows, and the one that is to come. */
export interface CertificateWatch extends Disposable {
  readonly certificate: Certificate;
  /** Nodes that connect from now on are told. */
  readonly renewal: () => CertificateRenewal | undefined;
}

/** Looks once a day whether a renewal is due, since a coordinator may run for years. */
export async function watchCertificates(
  open: () => Promise<CertificateStore>,
  { onRenewal, logger }: { onRenewal: (renewal: CertificateRenewal) => void; logger: Logger },
): Promise<CertificateWatch> {
  const { certificate, ...first } = await open();
  let { renewal } = first;
  const check = async (): Promise<void> => {
    const now = await open();
    if (now.certificate.sha256 !== certificate.sha256) logger.warn('a new certificate is due; restart to show it');
    if (now.renewal === undefined || isSame(now.renewal, renewal)) return;
    renewal = now.renewal;
    onRenewal(renewal);
  };
  const timer = setInterval(() => {
    check().catch((err: unknown) => logger.error({ err }, 'certificate check failed'));
  }, checkEveryMs);
  timer.unref();
  return { certificate, renewal: () => renewal, [Symbol.dispose]: () => clearInterval(timer) };
}

const isSame = (a: CertificateRenewal, b: CertificateRenewal | undefined): boolean =>
  b?.envelope !== undefined &&
  a.envelope !== undefined &&
  Buffer.from(a.envelope.signature).equals(b.envelope.signature);
