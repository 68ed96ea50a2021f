import process from 'node:process';
import { CommanderError, type Command } from 'commander';
import { commands } from './commands/index.ts';
import { BrokenOff, interruptedExitCode, wasInterrupted } from './interrupt.ts';
import { buildProgram } from './program.ts';
import { errorJson, errorText, reportError } from './report-error.ts';

/** The command of the tree that `argv` reaches, with its words: `weft run create`. */
const reached = (program: Command, argv: readonly string[]): { command: Command; name: string; words: number } => {
  let command = program;
  let words = 0;
  for (const word of argv) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    command = next;
    words += 1;
  }
  return { command, name: [program.name(), ...argv.slice(0, words)].join(' '), words };
};

/** A reader such as `head` that closes the pipe has seen enough: that is no fault. */
const endWithReader = (): void => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
};

/** Runs one command line and sets the exit code; standard output carries data only. */
export const main = async (argv: readonly string[]): Promise<void> => {
  endWithReader();
  const program = await buildProgram(commands, argv);
  const { command, name, words } = reached(program, argv);
  // `weft` and `weft run` alone are questions, not mistakes: answer with the help
  const isQuestion = words === argv.length && command.commands.length > 0;
  try {
    await program.parseAsync(isQuestion ? [...argv, '--help'] : argv, { from: 'user' });
    // a command that drained to its end after Ctrl-C has done its work
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (wasInterrupted() || error instanceof BrokenOff) {
      process.exitCode = interruptedExitCode;
      return;
    }
    const reported = reportError(error, name);
    process.stderr.write(argv.includes('--json') ? errorJson(reported) : errorText(reported));
    process.exitCode = reported.exit;
  }
};
