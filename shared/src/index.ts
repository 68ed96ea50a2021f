export * from './ids.ts';
export { catalogue, type ErrorCode } from './errors/catalogue.ts';
export { WeftError, isWeftError } from './errors/weft-error.ts';
export {
  fromGrpcStatus,
  fromRefusal,
  toGrpcFailure,
  type GrpcFailure,
  type GrpcStatusLike,
} from './errors/grpc-status.ts';
export { toWeftError } from './errors/system-error.ts';
export type { ErrorEntry, ExitCode, GrpcStatusName } from './errors/entry.ts';
export * from './adapter-layout.ts';
export { boostOfMean, boostOfRule, largestBoost, type BoostCase, type LargestBoost } from './aggregation-boost.ts';
export {
  aggregationRules,
  leastTrimmedShards,
  leastUpdates,
  trimmedAtEachEnd,
  trimmedShardsAtEachEnd,
} from './aggregation-rules.ts';
export {
  gateFormats,
  isKeptByGate,
  lossOf,
  maxGateDataBytes,
  refusalOfGate,
  type GateComparison,
  type GateScore,
} from './evaluation-gate.ts';
export { canonicalJson } from './canonical-json.ts';
export { sha256, sha256File } from './hash.ts';
export { createSeededRandom, type SeededRandom } from './random.ts';
export * from './envelope.ts';
export { withEntry } from './persistent-map.ts';
export {
  dayOf,
  endless,
  readEndorsement,
  endOfWord,
  endorse,
  endorsementBytes,
  endorsementText,
  requireEndorsement,
  organisationIn,
  endorsingOrganisation,
  organisationFingerprint,
  parseEndorsement,
} from './endorsement.ts';
export { parseModelStatement, signModel, type ModelStatement } from './model-statement.ts';
export { createIdentity, ed25519Pem, toFederationId, toNodeId, verifySignature, type Identity } from './identity.ts';
export { roundPhases, type RoundPhase } from './round-phase.ts';
export * from './quantization.ts';
export * from './ring.ts';
export { faultOfSum, longestUpdate } from './sum-test.ts';
export * from './run-spec.ts';
export * from './admin-api.ts';
export * from './invite.ts';
export { privacyNotice, protectionOf } from './notices.ts';
export * from './pinned-certificate.ts';
export * as secagg from './secagg/index.ts';
export * as log from './log/index.ts';
export * as modelSigning from './model-signing/index.ts';
export * as merkle from './merkle-tree.ts';
export * as privacy from './privacy/index.ts';
export * from './update-encoding.ts';
