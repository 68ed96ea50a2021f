import { homedir } from 'node:os';
import { join } from 'node:path';
import { Option, type Command } from 'commander';

export interface HomeOption {
  readonly home: string;
}

/** Where a coordinator keeps its identity, its events and its blobs; the same for every command that reaches it. */
export const addHomeOption = (command: Command): Command =>
  command.addOption(
    new Option('--home <dir>', "the coordinator's folder")
      .env('WEFT_COORDINATOR_HOME')
      .default(join(homedir(), '.weft', 'coordinator'), '~/.weft/coordinator'),
  );
