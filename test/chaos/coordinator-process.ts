import process from 'node:process';
import { startCoordinator } from '@weft/coordinator';
import { createSeededRandom } from '@weft/shared';

/**
 * A coordinator as a process of its own that ends itself at a named point, as kill -9 would.
 *
 * Argument, as JSON: home, gRPC port, how long a silent node stays, and a point with which passing of it is the last.
 * Prints one JSON line when it is ready.
 */
interface Given {
  readonly home: string;
  readonly port: number;
  /** With it comes a heartbeat that is as much shorter. */
  readonly leaseMs?: number;
  readonly settleMs?: number;
  readonly point?: string;
  readonly passing?: number;
}

const { home, port, leaseMs, settleMs = 20, point, passing = 1 } = JSON.parse(process.argv[2]!) as Given;
let left = passing;
const coordinator = await startCoordinator({
  home,
  grpcPort: port,
  httpPort: 0,
  logLevel: 'silent',
  random: createSeededRandom('chaos'),
  timing: { settleMs, retryMs: 20, ...(leaseMs !== undefined && { leaseMs }) },
  ...(leaseMs !== undefined && { limits: { heartbeatMs: leaseMs / 6 } }),
  onPoint(passed) {
    if (passed !== point || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
process.stdout.write(`${JSON.stringify({ grpcAddress: coordinator.grpcAddress, httpUrl: coordinator.httpUrl })}\n`);
process.once('SIGTERM', () => void coordinator.close());
