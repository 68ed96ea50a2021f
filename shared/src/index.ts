export * from './ids.ts';
export { catalogue, type ErrorCode } from './errors/catalogue.ts';
export { WeftError, isWeftError } from './errors/weft-error.ts';
export type { ErrorEntry, ExitCode, GrpcStatusName } from './errors/entry.ts';
