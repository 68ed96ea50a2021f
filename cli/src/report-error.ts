import { CommanderError } from 'commander';
import { catalogue, WeftError, type ErrorCode } from '@weft/shared';

/** An error as the shell sees it. */
export interface ReportedError {
  readonly code: ErrorCode;
  readonly what: string;
  readonly todo: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly exit: number;
}

/** Errors of the operating system that have a row of their own in the catalogue. */
const systemErrors: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'WEFT_PORT_IN_USE',
  ENOSPC: 'WEFT_DISK_FULL',
  EDQUOT: 'WEFT_DISK_FULL',
  EACCES: 'WEFT_PATH_UNUSABLE',
  EISDIR: 'WEFT_PATH_UNUSABLE',
  ENOENT: 'WEFT_PATH_UNUSABLE',
  ENOTDIR: 'WEFT_PATH_UNUSABLE',
  EPERM: 'WEFT_PATH_UNUSABLE',
  EROFS: 'WEFT_PATH_UNUSABLE',
};

const systemCode = (error: unknown): ErrorCode | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? systemErrors[error.code] : undefined;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Commander's `error: unknown option '--stpes'\n(Did you mean --steps?)` as one line of ours. */
const usageMessage = (error: CommanderError): string =>
  error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/\(Did you mean /, '(did you mean ');

/**
 * The one translation from exceptions to what a shell sees.
 * @param commandName as in `weft train`, for the hint at a wrong flag
 */
export const reportError = (error: unknown, commandName: string): ReportedError => {
  if (error instanceof CommanderError) {
    return {
      code: 'WEFT_USAGE',
      what: usageMessage(error),
      todo: `see \`${commandName} --help\``,
      details: {},
      exit: catalogue.WEFT_USAGE.exit,
    };
  }
  const known = error instanceof WeftError ? error.code : systemCode(error);
  const code = known ?? 'WEFT_INTERNAL';
  const { todo, exit } = catalogue[code];
  const advice = code === 'WEFT_USAGE' ? `see \`${commandName} --help\`` : todo;
  // an error that has no row is a fault of ours, and its stack is what we will be asked for
  const what = known === undefined && error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  return { code, what, todo: advice, details: error instanceof WeftError ? error.details : {}, exit };
};

/** Two lines for people: what happened and its code, then what to do. */
export const errorText = ({ what, code, todo }: ReportedError): string => `${what} [${code}]\n${todo}\n`;

export const errorJson = ({ code, what, todo, details }: ReportedError): string =>
  `${JSON.stringify({ error: { code, what, todo, details } })}\n`;
