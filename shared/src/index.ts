export * from './ids.ts';
export { catalogue, type ErrorCode } from './errors/catalogue.ts';
export { WeftError, isWeftError } from './errors/weft-error.ts';
export type { ErrorEntry, ExitCode, GrpcStatusName } from './errors/entry.ts';
export * from './adapter-layout.ts';
export { canonicalJson } from './canonical-json.ts';
export { sha256, sha256File } from './hash.ts';
export { createSeededRandom, type SeededRandom } from './random.ts';
