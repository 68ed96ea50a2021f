import type { Command } from 'commander';

/** What a file under commands/ exports as `command`. */
export interface CommandModule {
  /** At least two lines that a reader can paste; `--help` opens with them. */
  readonly examples: readonly [string, string, ...string[]];
  /** Declares arguments, options and the action. */
  configure(command: Command): void;
}

/** A line of commands/index.ts: the words, one sentence, and where the rest is, loaded only when it is this one's turn. */
export interface CommandEntry {
  readonly words: readonly [string, ...string[]];
  readonly summary: string;
  load(): Promise<{ readonly command: CommandModule }>;
}
