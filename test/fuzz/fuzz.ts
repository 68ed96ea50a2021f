import process from 'node:process';
import { parseArgs } from 'node:util';
import { fuzz, shareOut } from './run-fuzz.ts';
import { targets } from './targets.ts';

/** `pnpm test:fuzz [--inputs N] [--seed N] [--only NAME]`: the nightly form, one line a target. */
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', multiple: true },
  },
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
const chosen = targets.filter(({ name }) => values.only?.some((part) => name.includes(part)) ?? true);
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed) || chosen.length === 0) {
  process.stderr.write(`usage: pnpm test:fuzz [--inputs N] [--seed N] [--only NAME]
targets: ${targets.map(({ name }) => name).join(', ')}
`);
  process.exit(2);
}
// Most inputs end in an error that is only counted.
Error.stackTraceLimit = 0;
process.stdout.write(`seed ${seed}\n`);
let [total, seconds] = [0, 0];
for (const [target, share] of shareOut(chosen, inputs)) {
  const figures = fuzz(target, { inputs: share, seed });
  total += figures.inputs;
  seconds += figures.seconds;
  const rate = Math.round(figures.inputs / figures.seconds);
  process.stdout.write(
    `${figures.name}: ${figures.inputs} inputs, ${rate} a second, ${figures.taken} taken, ${figures.inputs - figures.taken} refused\n`,
  );
}
process.stdout.write(
  `${total} inputs over ${chosen.length} targets in ${seconds.toFixed(0)} s, ${Math.round(total / seconds)} a second, seed ${seed}: nothing broke\n`,
);
