import process from 'node:process';

/** 128 + SIGINT, what shells expect of a command that was interrupted. */
export const interruptedExitCode = 130;

let interrupted = false;

export const wasInterrupted = ()          => interrupted;

/**
 * The first Ctrl-C (or SIGTERM) aborts the signal, so that the command drains; the second quits at once.
 * @param draining what the command does meanwhile, as in `finishing the current step`
 */
export const onInterrupt = (draining        )              => {
  const controller = new AbortController();
  const interrupt = ()       => {
    if (interrupted) process.exit(interruptedExitCode);
    interrupted = true;
    process.stderr.write(`${draining}; press Ctrl-C again to quit at once\n`);
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return controller.signal;
};
