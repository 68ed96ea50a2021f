import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createIdentity, openCertificateRenewal, sha256, toFederationId } from '@weft/shared';
import { openCertificates, renewalFileName } from './certificate-store.ts';

const dayMs = 24 * 3600 * 1000;
const { identity } = createIdentity();
const federationId = toFederationId(identity.publicKey);
const start = Date.UTC(2030, 0, 1);

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-certificate-'));
});
afterEach(() => rm(home, { recursive: true }));

const openAfter = (days: number) => openCertificates(home, { identity, federationId, now: start + days * dayMs });

describe("a coordinator's certificate", () => {
  it('is small, stays the same, and is for its owner alone', async () => {
    const { certificate, renewal } = await openAfter(0);
    expect(certificate.der.length).toBeLessThan(330);
    expect(renewal).toBeUndefined();
    expect((await openAfter(100)).certificate.sha256).toBe(certificate.sha256);
    expect((await stat(join(home, 'certificate.pem'))).mode & 0o777).toBe(0o600);
  });

  it('is announced, signed by the pinned key, long before it is shown', async () => {
    const first = await openAfter(0);
    const announced = await openAfter(620);
    expect(announced.certificate.sha256).toBe(first.certificate.sha256);
    const { certificateDer } = openCertificateRenewal(announced.renewal!, identity.publicKey);
    await stat(join(home, renewalFileName));
    const shown = await openAfter(680);
    expect(shown.certificate.sha256).toBe(sha256(certificateDer));
    // a node that was away still hears of it
    expect(shown.renewal).toEqual(announced.renewal);
    expect(() => openCertificateRenewal(announced.renewal!, createIdentity().identity.publicKey)).toThrow(/signature/);
  });

  it('is renewed again and again, each statement later than the one before', async () => {
    await openAfter(0);
    let before = 0;
    for (let days = 0, renewals = 0; renewals < 3; days += 30) {
      const { renewal } = await openAfter(days);
      if (renewal === undefined) continue;
      const { notBeforeMs } = openCertificateRenewal(renewal, identity.publicKey);
      if (notBeforeMs === before) continue;
      expect(notBeforeMs).toBeGreaterThan(before);
      before = notBeforeMs;
      renewals++;
    }
  });
});
