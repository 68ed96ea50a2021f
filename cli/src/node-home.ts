import { homedir } from 'node:os';
import { join } from 'node:path';
import { Option, type Command } from 'commander';

/** Where a node keeps its key, its pins and its record; the same for every `weft node` command. */
export const addNodeHome = (command: Command): Command =>
  command.addOption(
    new Option('--home <dir>', "the node's folder: key, pins, record of what was sent")
      .env('WEFT_NODE_HOME')
      .default(join(homedir(), '.weft', 'node'), '~/.weft/node'),
  );
