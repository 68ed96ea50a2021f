export {
  bodies,
  maxBeacons,
  noPlace,
  cutProofLayout,
  logProofLayout,
  encodeBody,
  decodeBody,
  type Body,
  type BodyInit,
  type BodyName,
  type Signed,
} from './bodies.ts';
export { ChunkRoot } from './chunk-root.ts';
export {
  addMasks,
  addMasksInSteps,
  maxRingBits,
  minRingBits,
  reduceWords,
  ringWords,
  type MaskTerm,
  type RingWords,
} from './mask.ts';
export { isUsableKey } from './keys.ts';
export { nodeChecks, organisationsOf, type NodeKnowledge, type NodePolicy } from './node-checks.ts';
export { stepNode } from './node.ts';
export { cutHashOf } from './node-secrets.ts';
export { readReceipt } from './receipt.ts';
export { newNode, type NodeEffect, type NodeEvent, type NodeOptions, type NodeState } from './node-state.ts';
export { stepServer } from './server.ts';
export { awaitedPlaces, awaitsInput, deadlineMs, silentBeacons } from './server-waiting.ts';
export { messagesToAll, messageTo, receiptTo } from './server-messages.ts';
export { openCut, summedIn } from './server-opening.ts';
export {
  newServer,
  type Blame,
  type ServerEffect,
  type ServerEvent,
  type ServerMessage,
  type ServerOptions,
  type ServerState,
  type ShardOpening,
} from './server-state.ts';
export { packedBytes, packWords, strayBits, unpackWords, WordUnpacker } from './packing.ts';
export { decode, encode } from './byte-layout.ts';
export {
  beaconCommitment,
  nodeIdOf,
  signedMessage,
  verifySigned,
  type Directory,
  type Enrolled,
  type Member,
} from './session.ts';
export {
  cohortSizes,
  maxCohort,
  maxShardMembers,
  minCohortWithoutConsent,
  type CohortSizes,
  type SizeOptions,
} from './sizes.ts';
