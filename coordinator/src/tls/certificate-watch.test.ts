import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { CertificateRenewal } from '@weft/proto';
import { createIdentity, toFederationId } from '@weft/shared';
import { openCertificates, type CertificateStore } from './certificate-store.ts';
import { watchCertificates } from './certificate-watch.ts';

const dayMs = 24 * 3600 * 1000;
const { identity } = createIdentity();
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-watch-'));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(home, { recursive: true });
});

it('a coordinator that runs for years tells its nodes of a renewal once, and goes on showing what it started with', async () => {
  let day = 0;
  const opened: Promise<CertificateStore>[] = [];
  const told: CertificateRenewal[] = [];
  const lines: string[] = [];
  const open = (): Promise<CertificateStore> => {
    const store = openCertificates(home, {
      identity,
      federationId: toFederationId(identity.publicKey),
      now: day * dayMs,
    });
    opened.push(store);
    return store;
  };
  const logger = pino({}, { write: (line) => void lines.push(line) });
  using watch = await watchCertificates(open, { onRenewal: (renewal) => told.push(renewal), logger });
  const shown = watch.certificate.sha256;
  const passDays = async (days: number): Promise<void> => {
    day += days;
    vi.advanceTimersByTime(dayMs);
    await opened.at(-1);
    await Promise.resolve();
  };
  await passDays(1);
  expect(told).toEqual([]);
  await passDays(620);
  await passDays(1);
  expect(told).toHaveLength(1);
  expect(watch.renewal()).toEqual(told[0]);
  expect(lines.join('')).not.toContain('restart');
  await passDays(60);
  expect(watch.certificate.sha256).toBe(shown);
  expect(lines.join('')).toContain('restart to show it');
});
