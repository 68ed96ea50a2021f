import process from 'node:process';
import { startCoordinator } from '@weft/coordinator';
import { createSeededRandom } from '@weft/shared';

/**
 * A coordinator as a process of its own that ends itself at a named point, as kill -9 would.
 *
 * Arguments: home, gRPC port, then a point and which passing of it is the last. Prints one JSON line when it is ready.
 */
const [home, grpcPort, point, passing = '1'] = process.argv.slice(2) as [string, string, string?, string?];
let left = Number(passing);
const coordinator = await startCoordinator({
  home,
  grpcPort: Number(grpcPort),
  httpPort: 0,
  logLevel: 'silent',
  random: createSeededRandom('chaos'),
  timing: { settleMs: 20, retryMs: 20 },
  onPoint(passed) {
    if (passed !== point || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
process.stdout.write(`${JSON.stringify({ grpcAddress: coordinator.grpcAddress, httpUrl: coordinator.httpUrl })}\n`);
process.once('SIGTERM', () => void coordinator.close());
