export { bodies, encodeBody, decodeBody, type Body, type BodyInit, type BodyName, type Signed } from './bodies.ts';
export { addMask, packedBytes, packWords, reduceWords, ringWords, unpackWords, type RingWords } from './mask.ts';
export { nodeChecks, type NodeKnowledge, type NodePolicy } from './node-checks.ts';
export {
  newNode,
  stepNode,
  type MaskTerm,
  type NodeEffect,
  type NodeEvent,
  type NodeOptions,
  type NodeState,
} from './node.ts';
export {
  newServer,
  stepServer,
  type Blame,
  type ServerEffect,
  type ServerEvent,
  type ServerOptions,
  type ServerState,
} from './server.ts';
export { nodeIdOf, signedMessage, verifySigned, type Directory, type Enrolled } from './session.ts';
export { cohortSizes, type CohortSizes, type SizeOptions } from './sizes.ts';
