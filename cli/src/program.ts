import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { CommandEntry } from './command.ts';

/** How nouns with several verbs present themselves in a list. */
const nouns: Readonly<Record<string, string>> = {
  coordinator: 'the server of a federation',
  invite: 'tokens that let a node in',
  log: 'what a federation did',
  model: 'models on this machine',
  node: 'the daemon of a contributor',
  org: 'organisations that sign for their nodes',
  policy: 'what a node takes part in',
  privacy: 'differential privacy, counted',
  run: 'training runs of a federation',
};

/** What their help opens with; a noun is asked about by somebody who does not know its verbs yet. */
const nounExamples: Readonly<Record<string, readonly [string, string, ...string[]]>> = {
  coordinator: ['weft coordinator init --name libraries', 'weft coordinator start'],
  invite: ['weft invite create', 'weft invite create --auto-approve --expires-in-hours 2'],
  log: ['weft log verify http://127.0.0.1:7480 --adapter adapter', 'weft log show ~/.weft/coordinator/log'],
  model: ['weft model show models/weft-tiny-llama', 'weft model verify adapter --log http://127.0.0.1:7480'],
  node: ['weft node join @invite.txt', 'weft node policy init', 'weft node start --data texts/', 'weft node status'],
  org: [
    'weft org create --out org.key',
    'weft org endorse --key org.key --federation f_0f3a… "$(weft node key)" > archive.endorsement',
  ],
  policy: ['weft node policy init', 'weft node policy show'],
  privacy: [
    'weft privacy plan --nodes 100 --rounds 30 --dim 460800 --budget 8',
    'weft privacy epsilon --q 1 --sigma 5 --steps 100 --delta 1e-5',
  ],
  run: [
    'weft run create run.yaml --model models/weft-tiny-llama',
    'weft run start first-run',
    'weft run show first-run',
  ],
};

const programExamples = [
  'weft demo',
  'weft train --model models/weft-tiny-llama --data notes.txt --out adapter --steps 100',
];

const examplesText = (examples: readonly string[]): string =>
  `Examples:\n${examples.map((line) => `  ${line}\n`).join('')}`;

const version = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
};

/** The entry that `argv` begins with: only that one's file is loaded. */
export const chosenEntry = (entries: readonly CommandEntry[], argv: readonly string[]): CommandEntry | undefined => {
  const words = argv[0] === 'help' ? argv.slice(1) : argv;
  return entries.find((entry) => entry.words.every((word, index) => words[index] === word));
};

/** Makes every refusal an exception, so that main translates all errors in one place. */
const prepare = (command: Command): Command => command.exitOverride().configureOutput({ outputError: () => {} });

/** Builds the whole tree of names, and fills in the command that `argv` asks for. */
export const buildProgram = async (entries: readonly CommandEntry[], argv: readonly string[]): Promise<Command> => {
  const program = prepare(new Command('weft'))
    .description('Fine-tunes open-weight models on data that never moves.')
    .version(version(), '--version', 'print the version')
    .addHelpText('before', examplesText(programExamples))
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 a fault of Weft, 2 usage or configuration, 3 input data, 4 refused, 5 not reachable, 6 this machine.',
    );
  const chosen = chosenEntry(entries, argv);
  for (const entry of entries) {
    let parent = program;
    for (const word of entry.words.slice(0, -1)) {
      const existing = parent.commands.find((command) => command.name() === word);
      parent =
        existing ??
        prepare(parent.command(word))
          .description(nouns[word] ?? '')
          .addHelpText('before', examplesText(nounExamples[word] ?? []));
    }
    const leaf = prepare(parent.command(entry.words.at(-1) ?? '')).description(entry.summary);
    if (entry === chosen) {
      const { command } = await entry.load();
      leaf.addHelpText('before', examplesText(command.examples));
      command.configure(leaf);
    }
  }
  return program;
};
