import process from 'node:process';

/** 128 + SIGINT, what shells expect of a command that was interrupted. */
export const interruptedExitCode = 130;

/** Somebody broke off what they were asked at the terminal, where Ctrl-C is a key and no signal. */
export class BrokenOff extends Error {}

let interrupted = false;

export const wasInterrupted = (): boolean => interrupted;

/**
 * The first Ctrl-C (or SIGTERM) aborts the signal, so that the command drains; the second quits at once.
 * @param draining what the command does meanwhile, as in `finishing the current step`
 */
export const onInterrupt = (draining: string): AbortSignal => {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (interrupted) process.exit(interruptedExitCode);
    interrupted = true;
    process.stderr.write(`${draining}; press Ctrl-C again to quit at once\n`);
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return controller.signal;
};
