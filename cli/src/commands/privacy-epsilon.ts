import process from 'node:process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { privacy, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { nonNegative, probability, wholeNumber } from '../option-values.ts';

interface PrivacyEpsilonOptions {
  readonly q: number;
  readonly sigma: number;
  readonly steps: number;
  readonly delta: number;
  readonly mechanism: 'gaussian' | 'skellam';
  readonly scale?: number;
  readonly dim?: number;
  readonly clip?: number;
  readonly json?: true;
}

/** `--delta 1e-5`: between 0 and 1, both left out. */
export const delta = (text: string): number => {
  const value = probability(text);
  if (value === 1) throw new InvalidArgumentError('It is a number between 0 and 1.');
  return value;
};

const run = ({ q, sigma, steps, delta, mechanism, scale, dim, clip, json }: PrivacyEpsilonOptions): void => {
  const spent = privacy.epsilonOf(privacy.repeated(divergence(), steps), delta);
  process.stdout.write(
    json
      ? `${JSON.stringify(spent)}\n`
      : `ε = ${spent.epsilon.toFixed(10)} at δ = ${delta} (Rényi order ${spent.order})\n`,
  );

  function divergence(): Float64Array {
    if (mechanism === 'gaussian') return privacy.gaussianRdp({ samplingShare: q, noiseMultiplier: sigma });
    if (q !== 1) {
      throw new WeftError('WEFT_USAGE', `--q ${q} with --mechanism skellam: no subsampled formula is known for it`);
    }
    if (scale === undefined || dim === undefined || clip === undefined) {
      throw new WeftError('WEFT_USAGE', '--mechanism skellam needs --scale, --dim and --clip');
    }
    return privacy.skellamRdp({ noiseMultiplier: sigma, scale, dim, clipNormL2: clip });
  }
};

export const command: CommandModule = {
  examples: [
    'weft privacy epsilon --q 1 --sigma 5 --steps 100 --delta 1e-5',
    'weft privacy epsilon --q 1 --sigma 5 --steps 100 --delta 1e-5 --mechanism skellam --scale 65536 --dim 1048576 --clip 1 --json',
  ],
  configure: (command: Command): void => {
    command
      .option('--q <share>', 'chance that a node takes part in a step, by its own secret coin', probability, 1)
      .requiredOption(
        '--sigma <number>',
        'noise multiplier: standard deviation of the noise in the sum over the sensitivity (z, with skellam)',
        nonNegative({ positive: true }),
      )
      .requiredOption('--steps <n>', 'steps, or rounds', wholeNumber(1, 1e9))
      .requiredOption('--delta <number>', 'δ', delta)
      .addOption(new Option('--mechanism <name>', 'kind of noise').choices(['gaussian', 'skellam']).default('gaussian'))
      .option('--scale <number>', 'skellam: integers to a unit of the update', nonNegative({ positive: true }))
      .option('--dim <n>', 'skellam: values of an update, padding included', wholeNumber(1, 2 ** 32))
      .option('--clip <norm>', 'skellam: L2 clip norm', nonNegative({ positive: true }))
      .option('--json', 'one JSON object on standard output: {"epsilon","order"}')
      .action((_options: unknown, command: Command) => run(command.opts<PrivacyEpsilonOptions>()));
  },
};
