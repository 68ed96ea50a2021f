/** Branded identifiers: a string that was checked once, at the edge where it came in. */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Lower-case hex of 32 bytes. */
export type Sha256 = Branded<'Sha256'>;
/** `n_` and the first 16 bytes of SHA-256 over the node's Ed25519 public key, in hex. */
export type NodeId = Branded<'NodeId'>;
/** `f_` and the first 16 bytes of SHA-256 over the coordinator's Ed25519 public key, in hex. */
export type FederationId = Branded<'FederationId'>;
/** `r_` and 16 random bytes in hex. */
export type RunId = Branded<'RunId'>;

const patterns = {
  sha256: /^[0-9a-f]{64}$/,
  node: /^n_[0-9a-f]{32}$/,
  federation: /^f_[0-9a-f]{32}$/,
  run: /^r_[0-9a-f]{32}$/,
};

export const isSha256 = (text: string): text is Sha256 => patterns.sha256.test(text);
export const isNodeId = (text: string): text is NodeId => patterns.node.test(text);
export const isFederationId = (text: string): text is FederationId => patterns.federation.test(text);
export const isRunId = (text: string): text is RunId => patterns.run.test(text);
