/** Branded identifiers: a string that was checked once, at the edge where it came in. */

                                   
                                                                        

/** Lower-case hex of 32 bytes. */
                                       
/** `n_` and the first 16 bytes of SHA-256 over the node's Ed25519 public key, in hex. */
                                       
/** `f_` and the first 16 bytes of SHA-256 over the coordinator's Ed25519 public key, in hex. */
                                                   
/** `r_` and 16 random bytes in hex. */
                                     

const patterns = {
  sha256: /^[0-9a-f]{64}$/,
  node: /^n_[0-9a-f]{32}$/,
  federation: /^f_[0-9a-f]{32}$/,
  run: /^r_[0-9a-f]{32}$/,
};

export const isSha256 = (text        )                 => patterns.sha256.test(text);
export const isNodeId = (text        )                 => patterns.node.test(text);
export const isFederationId = (text        )                       => patterns.federation.test(text);
export const isRunId = (text        )                => patterns.run.test(text);
