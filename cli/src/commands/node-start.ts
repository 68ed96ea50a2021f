import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import process from 'node:process';
import { Option, type Command } from 'commander';
import { WeftError } from '@weft/shared';
import type { NodeEvent, PolicyInput } from '@weft/node-agent';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { cacheWords, devices, pathOfModel, type Device } from '../model-options.ts';
import { addNodeHome } from '../node-home.ts';
import { createNodeView } from '../node-view.ts';
import { dataSetName, nonNegative, wholeNumber } from '../option-values.ts';
import { delta } from './privacy-epsilon.ts';
import { createProgress } from '../progress.ts';

interface NodeStartOptions {
  readonly home: string;
  readonly data: readonly string[];
  readonly model?: string;
  readonly cache?: string;
  readonly threads: number;
  readonly device: Device;
  readonly smallCohort?: true;
  readonly trustOrganisation?: readonly string[];
  readonly privacyBudget?: number;
  readonly privacyDelta: number;
  readonly ledger?: string;
  readonly dataSet?: string;
  readonly untilRunEnds?: true;
  readonly json?: true;
}

/** Short ways for a home without a policy; where there is one, nothing but the file decides. */
const policyOfFlags = async (
  home: string,
  flags: {
    readonly smallCohort: true | undefined;
    readonly trustOrganisation: readonly string[] | undefined;
    readonly privacyBudget: number | undefined;
    readonly privacyDelta: number;
    readonly ledger: string | undefined;
    readonly dataSet: string | undefined;
  },
): Promise<PolicyInput | undefined> => {
  const { privacyDelta, ...deciding } = flags;
  const { smallCohort, trustOrganisation, privacyBudget, ledger, dataSet } = deciding;
  if (Object.values(deciding).every((value) => value === undefined)) return undefined;
  const { readPolicy } = await import('@weft/node-agent');
  const { isWritten, path } = await readPolicy(home);
  if (isWritten)
    throw new WeftError(
      'WEFT_USAGE',
      `${path} decides: leave out --small-cohort, --trust-organisation, --privacy-budget, --ledger and --data-set, and set smallestCohort, trustedOrganisations, privacyBudget, privacyLedger and dataSet there`,
    );
  return {
    ...(smallCohort && { smallestCohort: 3 }),
    ...(trustOrganisation && { trustedOrganisations: [...trustOrganisation] }),
    ...(privacyBudget !== undefined && { privacyBudget, privacyDelta }),
    ...(ledger !== undefined && { privacyLedger: ledger === 'home' ? ledger : resolve(ledger) }),
    ...(dataSet !== undefined && { dataSet }),
  };
};

const run = async ({
  home,
  data,
  model,
  cache,
  threads,
  device,
  smallCohort,
  trustOrganisation,
  privacyBudget,
  privacyDelta,
  ledger,
  dataSet,
  untilRunEnds,
  json,
}: NodeStartOptions): Promise<void> => {
  const { startNode } = await import('@weft/node-agent');
  const progress = json ? undefined : createProgress();
  const onEvent =
    progress === undefined
      ? (event: NodeEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`)
      : createNodeView(progress);
  try {
    const agent = await startNode({
      home,
      dataPaths: data,
      modelPath: model === undefined ? undefined : await pathOfModel(model, cache),
      unpackFolder: cache,
      threads,
      device,
      policy: await policyOfFlags(home, {
        smallCohort,
        trustOrganisation,
        privacyBudget,
        privacyDelta,
        ledger,
        dataSet,
      }),
      untilRunEnds,
      onEvent,
      signal: onInterrupt('sending what was promised, then stopping'),
    });
    await agent.finished;
  } finally {
    progress?.close();
  }
};

export const command: CommandModule = {
  examples: [
    'weft node start --data texts/',
    'weft node start --data chats.jsonl notes.md --model SmolLM2-135M-Instruct.Q4_1.gguf --threads 4',
  ],
  configure: (command: Command): void => {
    addNodeHome(command)
      .requiredOption(
        '--data <path...>',
        'what to train on: .txt, .md, .jsonl, .csv and .parquet files, or folders of them; none of it leaves this machine',
      )
      .option(
        '--model <path>',
        'a base model that is here already, or hf:ORG/NAME once it is pulled; used when its hash is the offered one, fetched otherwise',
      )
      .addOption(
        new Option('--threads <n>', 'threads of the runtime')
          .argParser(wholeNumber(1, 1024))
          .default(availableParallelism(), 'all cores'),
      )
      .addOption(new Option('--device <name>', 'where to compute').choices(devices).default('auto'))
      .option('--cache <dir>', cacheWords)
      .option(
        '--trust-organisation <key...>',
        'without a policy.yaml: count members of other organisations, and of none, as colluders of the coordinator',
      )
      .option(
        '--small-cohort',
        'without a policy.yaml: also send masked updates among three or four nodes, which hide a single one badly',
      )
      .option(
        '--privacy-budget <epsilon>',
        'without a policy.yaml: ε that the data may spend in all, over every run; then rounds without noise are declined',
        nonNegative({ positive: true }),
      )
      .option('--privacy-delta <number>', 'δ of that budget', delta, 1e-5)

      .option(
        '--ledger <dir>',
        'without a policy.yaml: where ε is counted, one folder for all homes with this data; home, where there is no other',
      )
      .option('--data-set <name>', 'without a policy.yaml: under which name this data is charged there', dataSetName)
      .option('--until-run-ends', 'end when the first run has ended, instead of waiting for the next')
      .addHelpText('after', '\nWhat it takes part in says policy.yaml in the home: see `weft node policy`.')
      .option('--json', 'a JSON line for each event on standard output, the last one {"event":"summary"}')
      .action((_options: unknown, command: Command) => run(command.opts<NodeStartOptions>()));
  },
};
