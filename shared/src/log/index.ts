export { formatCheckpoint, logOrigin, parseCheckpoint, type Checkpoint } from './checkpoint.ts';
export {
  decodeLeaf,
  encodeLeaf,
  enrolledName,
  floatBits,
  floatOfBits,
  leaves,
  pseudonymOf,
  sortedRoot,
  type Leaf,
  type LeafInit,
  type LeafName,
} from './leaves.ts';
export { LogTree } from './log-tree.ts';
export {
  checkNote,
  cosignatureOf,
  cosignatureTime,
  formatNote,
  formatVerifierKey,
  maxNoteBytes,
  parseNote,
  parseVerifierKey,
  signNote,
  withSignature,
  verifierKey,
  type SignedNote,
  type VerifierKey,
} from './signed-note.ts';
export {
  bundlePath,
  bundlesOf,
  bundlesSince,
  decodeBundle,
  encodeBundle,
  isTilePath,
  maxBundleBytes,
  tileBytes,
  tilePath,
  tilesOf,
  tilesSince,
  tileWidth,
} from './tiles.ts';
export {
  bodiesOf,
  bodyPath,
  expiredRounds,
  formatManifest,
  isBodyPath,
  manifestPath,
  maxManifestBytes,
  parseManifest,
  windowEnd,
  type RoundManifest,
} from './round-bodies.ts';
export { checkProof, formatProof, parseProof, type TlogProof } from './tlog-proof.ts';
export { type Finding } from './verify-leaves.ts';
export {
  logChecks,
  readShownAdapter,
  readShownHead,
  readShownRound,
  type LeafPath,
  type LogCheckName,
  type LoggedAdapter,
  type OwnRound,
  type RoundVerdict,
  type ShownLeaf,
} from './shown-proof.ts';
export {
  formatWitnesses,
  maxWitnesses,
  wordOfWitness,
  parseWitnesses,
  readWitnessKey,
  signWitnessKey,
  witnessHolds,
  witnessKeyOf,
  type Witness,
} from './witness.ts';
export { verifyLog, type LoggedRun, type VerifyOptions } from './verify-log.ts';
