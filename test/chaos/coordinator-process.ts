import process from 'node:process';
import { startCoordinator } from '@weft/coordinator';
import { createSeededRandom } from '@weft/shared';
import type { CoordinatorOptions } from './processes.ts';

/** A coordinator as a process of its own that ends itself at a named point, as kill -9 would. Prints one JSON line when it is ready. */

/** At which passing of a point it dies; counted from the first passing of another one on, where that is named. */
export interface Kill {
  readonly point: string;
  readonly passing?: number;
  readonly since?: string;
}

const { home, port, leaseMs, settleMs = 20, kill } = JSON.parse(process.argv[2]!) as CoordinatorOptions;
let left = kill?.passing ?? 1;
let counts = kill?.since === undefined;
const coordinator = await startCoordinator({
  home,
  grpcPort: port,
  httpPort: 0,
  logLevel: 'silent',
  random: createSeededRandom('chaos'),
  timing: { settleMs, retryMs: 20, ...(leaseMs !== undefined && { leaseMs }) },
  // A lease comes with a heartbeat that is as much shorter.
  ...(leaseMs !== undefined && { limits: { heartbeatMs: Math.round(leaseMs / 6) } }),
  onPoint(passed) {
    if (passed === kill?.since) counts = true;
    if (passed !== kill?.point || !counts || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
process.stdout.write(`${JSON.stringify({ grpcAddress: coordinator.grpcAddress, httpUrl: coordinator.httpUrl })}\n`);
process.once('SIGTERM', () => void coordinator.close());
