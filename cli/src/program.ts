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
      parent = existing ?? prepare(parent.command(word)).description(nouns[word] ?? '');
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
