import process from 'node:process';
import type { Command } from 'commander';
import { privacy, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { nonNegative, probability, wholeNumber } from '../option-values.ts';
import { delta } from './privacy-epsilon.ts';

interface PrivacyPlanOptions {
  readonly nodes: number;
  readonly survivors: number;
  readonly rounds: number;
  readonly dim: number;
  readonly budget: number;
  readonly delta: number;
  readonly clip: number;
  readonly scale: number;
  readonly json?: true;
}

const run = ({ nodes, survivors, rounds, dim, budget, delta, clip, scale, json }: PrivacyPlanOptions): void => {
  const honestSurvivors = Math.max(1, Math.floor(nodes * survivors));
  const input = { nodes, honestSurvivors, rounds, delta, clipNormL2: clip, scale, dim };
  const plan = privacy.noiseForBudget(input, budget);
  if (!plan) throw new WeftError('WEFT_USAGE', `no noise keeps ${rounds} rounds within ε = ${budget} at δ = ${delta}`);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...input, budget, ...plan })}\n`);
    return;
  }
  const rows = [
    ['noise multiplier z', plan.noiseMultiplier.toPrecision(6)],
    ['ε over the run', `${plan.epsilon.toFixed(6)} at δ = ${delta}, for ${rounds} rounds`],
    [
      'honest survivors',
      `${honestSurvivors} of ${nodes}; each adds noise of deviation ${plan.nodeDeviation.toPrecision(3)}`,
    ],
    ['noise ÷ longest mean update', plan.noiseToSignal.toPrecision(3)],
  ];
  process.stdout.write(
    `${rows.map(([name = '', value]) => `${name.padEnd(30)}${value}\n`).join('')}\n${plan.verdict}\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft privacy plan --nodes 100 --rounds 30 --dim 460800 --budget 8',
    'weft privacy plan --nodes 1000 --rounds 10 --dim 4096 --budget 4 --delta 1e-6 --json',
  ],
  configure: (command: Command): void => {
    command
      .requiredOption('--nodes <n>', 'nodes of a round', wholeNumber(1, 10_000))
      .requiredOption('--rounds <n>', 'rounds of the run', wholeNumber(1, 100_000))
      .requiredOption('--dim <n>', 'trained values, as the run page shows them', wholeNumber(1, 2 ** 32))
      .requiredOption('--budget <epsilon>', 'ε that a node is willing to spend', nonNegative({ positive: true }))
      .option('--survivors <share>', 'share of the nodes that stay and are honest', probability, 0.6)
      .option('--delta <number>', 'δ', delta, 1e-5)
      .option('--clip <norm>', 'L2 clip norm', nonNegative({ positive: true }), 1)
      .option('--scale <number>', 'integers to a unit of the update', nonNegative({ positive: true }), 65_536)
      .option('--json', 'one JSON object on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<PrivacyPlanOptions>()));
  },
};
