import process from 'node:process';
import type { Command } from 'commander';
import type { NodeStatus, Refusal, RoundStatus, RunStatus } from '@weft/node-agent';
import { catalogue, type ErrorCode } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';
import { formatTable } from '../table.ts';

interface NodeStatusOptions {
  readonly home: string;
  readonly json?: true;
}

const shownRounds = 20;
const shownRuns = 5;

const survivedWords = ({ mode, survivors, members }: RoundStatus): string => {
  if (mode === 'plain') return 'readable by the coordinator';
  return survivors === null ? 'no sum was agreed on' : `${survivors} of ${members} members`;
};

const roundRow = (round: RoundStatus) => [
  round.runName,
  round.round + 1,
  survivedWords(round),
  round.mode === 'plain' ? 0 : round.colluders,
  round.organisations,
  round.payloadBytes,
  round.normL2 === null ? null : round.normL2.toPrecision(3),
  round.epsilon === null ? null : round.epsilon.toFixed(3),
  round.payloadSha256?.slice(0, 12) ?? null,
];
const roundHeadings = [
  'RUN',
  'ROUND',
  'SUMMED',
  'COLLUDERS WITHSTOOD',
  'ORGANISATIONS',
  'BYTES',
  'NORM',
  'ε',
  'SHA-256',
];

const runLine = ({ runId, runName, round, outcome }: RunStatus): string =>
  `  "${runName}" (${runId}): ${outcome === null ? 'not over, as far as this node was told' : outcome === '' ? 'over' : outcome}; round ${round + 1} was the last one offered\n`;

/** One line for a run and its reason: a run asks again for each round. */
const refusalLines = (refusals: readonly Refusal[]): string[] => {
  const groups = Map.groupBy(refusals, ({ runId, code, rule }) => `${runId}/${code}/${rule}`);
  return [...groups.values()].map((group) => {
    const { runName, code, rule, why, at } = group.at(-1)!;
    const rounds = group.length === 1 ? `round ${group[0]!.round + 1}` : `${group.length} rounds`;
    return `  ${rounds} of "${runName}", last on ${at}: ${rule === null ? code : `${why ?? rule} (${code})`}\n`;
  });
};

const privacyWords = ({ privacy: { budget, spent }, faults }: NodeStatus): string => {
  if (faults.some((code) => code.startsWith('WEFT_PRIVACY'))) return 'the ledger cannot be read';
  const sums = spent.map(({ dataSet, epsilon, delta }) => `ε = ${epsilon.toFixed(3)} at δ = ${delta} on "${dataSet}"`);
  return `${sums.length === 0 ? 'nothing' : sums.join(', ')} spent, ${budget === null ? 'no budget' : `the budget is ε = ${budget.epsilon} at δ = ${budget.delta}`}`;
};

const isCode = (code: string): code is ErrorCode => Object.hasOwn(catalogue, code);

const statusText = (status: NodeStatus): string => {
  const { lastSent, rounds, runs, refusals, faults, log, ...facts } = status;
  const rows = [
    ['federation', `${facts.federationName} (${facts.federationId})`],
    ['node', `${facts.nodeName} (${facts.nodeId})`],
    ...(facts.organisation === '' ? [] : [['organisation', facts.organisation] as const]),
    ['coordinator', facts.address],
    ['agent', facts.pid === null ? 'not running' : `running as process ${facts.pid}`],
    ['updates sent', `${facts.updatesSent}, ${facts.bytesSent} bytes`],
    ['privacy', privacyWords(status)],
    ['protection', facts.protection],
    [
      'log',
      `${log.size} entries seen${log.cosignatures === 0 ? '' : `, cosigned ${log.cosignatures} times`}; the end of ${log.owedRounds} rounds still to be shown`,
    ],
    ...log.distrusted.map(({ scope }) => ['STOPPED', `no rounds of ${scope}: see \`weft node evidence\``] as const),
  ] as const;
  const faultLines = faults.map((code) => `IT DOES NOT START [${code}]: ${isCode(code) ? catalogue[code].todo : ''}\n`);
  const omitted = rounds.length - shownRounds;
  return [
    ...rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`),
    ...faultLines,
    ...(rounds.length === 0
      ? []
      : [
          `\nRounds${omitted > 0 ? ` (the last ${shownRounds} of ${rounds.length}; all with --json)` : ''}:\n`,
          formatTable(roundHeadings, rounds.slice(-shownRounds).map(roundRow)),
        ]),
    ...(runs.length === 0 ? [] : ['\nRuns:\n', ...runs.slice(-shownRuns).map(runLine)]),
    ...(refusals.length === 0 ? [] : ['\nDeclined:\n', ...refusalLines(refusals)]),
    ...(lastSent.length === 0 ? [] : ['\nLast said (all of it: weft node history):\n']),
    ...lastSent.map(({ at, said }) => `  ${at}  ${said}\n`),
  ].join('');
};

const run = async ({ home, json }: NodeStatusOptions): Promise<void> => {
  const { readStatus } = await import('@weft/node-agent');
  const status = await readStatus(home);
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : statusText(status));
};

export const command: CommandModule = {
  examples: ['weft node status', 'weft node status --home /srv/weft --json'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--json', 'one JSON object on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<NodeStatusOptions>()));
  },
};
