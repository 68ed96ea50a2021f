export * from './ids.js';
export { catalogue,                } from './errors/catalogue.js';
export { WeftError, isWeftError } from './errors/weft-error.js';
export { fromGrpcStatus, fromRefusal, toGrpcFailure,                                       } from './errors/grpc-status.js';
export { toWeftError } from './errors/system-error.js';
                                                                              
export * from './adapter-layout.js';
export { canonicalJson } from './canonical-json.js';
export { sha256, sha256File } from './hash.js';
export { createSeededRandom,                   } from './random.js';
export * from './envelope.js';
export { createIdentity, toFederationId, toNodeId, verifySignature,               } from './identity.js';
export { roundPhases,                 } from './round-phase.js';
export * from './ring.js';
export * from './run-spec.js';
export * from './admin-api.js';
export * from './invite.js';
export { plainModeNotice } from './notices.js';
export * from './pinned-certificate.js';
