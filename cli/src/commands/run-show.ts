import process from 'node:process';
import type { Command } from 'commander';
import { runDetailViewSchema, type RoundView, type RunDetailView, type VersionView } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption } from '../coordinator-home.ts';
import { boostLine } from '../boost-line.ts';
import { roundNotes } from '../round-notes.ts';
import { findRun, runArgument, type RunOptions } from '../run-order.ts';
import { formatLoss, formatTable, formatTime } from '../table.ts';

const percent = (share: number | null): string | null => (share === null ? null : `${(share * 100).toFixed(1)} %`);

const gateCell = (gate: RoundView['gate']): string | null =>
  gate === null
    ? null
    : `${formatLoss(gate.lossBefore) ?? 'none'} → ${formatLoss(gate.lossAfter) ?? 'none'}${gate.passed ? '' : ' refused'}`;

const roundRow = ({
  round,
  phase,
  withdrawn,
  factor,
  contributors,
  organisations,
  heldOutLoss,
  gate,
  clippedShare,
  saturatedShare,
  seconds,
}: RoundView) => [
  round + 1,
  withdrawn ? 'withdrawn' : phase,
  factor,
  contributors,
  organisations,
  formatLoss(heldOutLoss),
  gateCell(gate),
  percent(clippedShare),
  percent(saturatedShare),
  seconds.training.toFixed(1),
  seconds.transfer.toFixed(1),
  seconds.aggregation.toFixed(1),
];

const aggregationLine = ({ mode, rule, quantizationBits }: RunDetailView['spec']['aggregation']): string =>
  `${rule}, ${mode}, ${quantizationBits} bits a value`;

/** In a run that adapts it: where it began, and where the newest round has it. */
const clipLine = ({ spec, roundsDone }: RunDetailView): string =>
  `${(roundsDone.at(-1)?.clipNormL2 ?? spec.aggregation.clipNormL2).toPrecision(4)}, began at ${spec.aggregation.clipNormL2}`;

const gateLine = ({ gate }: RunDetailView['spec']['evaluation']): string =>
  gate === undefined
    ? 'none: any finite sum is committed'
    : `loss may rise by ${(100 * gate.greatestIncrease).toFixed(1)} % on ${gate.dataSha256}`;

const privacyLine = ({ epsilonSpent, delta, epsilonPlanned, verdict }: NonNullable<RunDetailView['privacy']>): string =>
  `ε = ${epsilonSpent.toFixed(3)} so far, ${epsilonPlanned.toFixed(3)} after all rounds, at δ = ${delta} for each node. ${verdict}`;

const versionHeadings = ['VERSION', 'ROUNDS BEHIND', 'GATE LOSS', 'MADE', 'ADAPTER'];

const versionRow = ({ round, roundsCommitted, gateLoss, at, adapterSha256, current }: VersionView) => [
  round === null ? 'first' : `round ${round + 1}`,
  roundsCommitted,
  formatLoss(gateLoss),
  formatTime(at),
  current ? `${adapterSha256} current` : adapterSha256,
];

const shown = (run: RunDetailView): string => {
  const facts = {
    run: run.id,
    name: run.name,
    state: run.reason === null ? run.state : `${run.state}: ${run.reason}`,
    aggregation: aggregationLine(run.spec.aggregation),
    'one node': boostLine(run.boost),
    gate: gateLine(run.spec.evaluation),
    'base model': `${run.spec.baseModel.name} ${run.spec.baseModel.sha256}`,
    spec: run.specSha256,
    adapter: run.adapterSha256 ?? '–',
    created: formatTime(run.createdAt) ?? '',
    ended: formatTime(run.endedAt) ?? '–',
    'final loss': formatLoss(run.finalHeldOutLoss) ?? '–',
    ...(run.spec.privacy?.adaptiveClipping && { 'clip norm': clipLine(run) }),
    ...(run.privacy && { privacy: privacyLine(run.privacy) }),
  };
  const headings = [
    'ROUND',
    'PHASE',
    'FACTOR',
    'NODES',
    'ORGANISATIONS',
    'LOSS BEFORE',
    'GATE',
    'CLIPPED',
    'SATURATED',
    'TRAINING S',
    'TRANSFER S',
    'AGGREGATION S',
  ];
  return `${Object.entries(facts)
    .map(([key, value]) => `${key.padEnd(12)}${value}\n`)
    .join(
      '',
    )}\n${formatTable(headings, run.roundsDone.map(roundRow))}${roundNotes(run)}\n${formatTable(versionHeadings, run.versions.map(versionRow))}`;
};

const run = async (word: string, options: RunOptions): Promise<void> => {
  const client = await openAdminClient(options);
  const detail = await client.get(`/api/runs/${(await findRun(client, word)).id}`, runDetailViewSchema);
  process.stdout.write(options.json ? `${JSON.stringify(detail)}\n` : shown(detail));
};

export const command: CommandModule = {
  examples: ['weft run show languages', 'weft run show r_1f00 --json'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument(...runArgument)
      .option('--json', 'the run with its spec, rounds and nodes on standard output')
      .addHelpText(
        'after',
        '\nLoss is the token-weighted mean, in nats a token, of the adapter that the round began with on what the nodes hold back.',
      )
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<RunOptions>()));
  },
};
