import { loopbackSpec } from './loopback-node.ts';
import { openLoopback } from './loopback.ts';
import type { Point } from './points.ts';

/**
 * A whole loopback federation as a process of its own, for tests that kill it.
 *
 * Arguments: home, then a point and which passing of it ends the process, as by kill -9.
 * Prints one JSON line when the run has ended.
 */
const [home, point, passing = '1'] = process.argv.slice(2) as [string, Point | undefined, string | undefined];
let left = Number(passing);
const loopback = await openLoopback({
  home,
  onPoint(passed) {
    if (passed !== point || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
const { runs } = loopback;
const create = async () => {
  const { sha256: dataSha256 } = await runs.takeGateData(Buffer.from('A public sentence.\n'));
  const evaluation = { gate: { dataSha256, format: 'txt' as const, greatestIncrease: 0.02 } };
  return runs.create({ ...loopbackSpec({ rounds: 3, server: { optimizer: 'fedavgm' } }), evaluation });
};
const run = runs.list()[0] ?? (await create());
for (const node of loopback.nodes) loopback.connect(node);
if (run.state === 'created') runs.start(run.id);
await loopback.settle();
process.stdout.write(`${JSON.stringify(runs.show(run.id))}\n`);
await loopback.close();
