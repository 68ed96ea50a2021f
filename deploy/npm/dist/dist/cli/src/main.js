import process from 'node:process';
import { CommanderError,              } from 'commander';
import { commands } from './commands/index.js';
import { interruptedExitCode, wasInterrupted } from './interrupt.js';
import { buildProgram } from './program.js';
import { errorJson, errorText, reportError } from './report-error.js';

/** The command of the tree that `argv` reaches, with its words: `weft run create`. */
const reached = (program         , argv                   )                                                    => {
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
const endWithReader = ()       => {
  process.stdout.on('error', (error                       ) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
};

/** Runs one command line and sets the exit code; standard output carries data only. */
export const main = async (argv                   )                => {
  endWithReader();
  const program = await buildProgram(commands, argv);
  const { command, name, words } = reached(program, argv);
  // `weft` and `weft run` alone are questions, not mistakes: answer with the help
  const isQuestion = words === argv.length && command.commands.length > 0;
  try {
    await program.parseAsync(isQuestion ? [...argv, '--help'] : argv, { from: 'user' });
    if (wasInterrupted()) process.exitCode = interruptedExitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (wasInterrupted()) {
      process.exitCode = interruptedExitCode;
      return;
    }
    const reported = reportError(error, name);
    process.stderr.write(argv.includes('--json') ? errorJson(reported) : errorText(reported));
    process.exitCode = reported.exit;
  }
};
