import { log, merkle, toFederationId, type Identity } from '@weft/shared';

/** A log with these entries, and what a coordinator that signs it can show. */
export function signedHistory(entries: readonly Uint8Array[], coordinator: Identity) {
  const origin = log.logOrigin(toFederationId(coordinator.publicKey));
  const key = log.verifierKey(origin, coordinator.publicKey);
  const tree = new log.LogTree();
  for (const entry of entries) tree.append(merkle.leafHash(entry));
  const { size } = tree;
  const text = log.formatCheckpoint({ origin, ...tree.head(), extensions: [] });
  const checkpoint = Buffer.from(log.formatNote(log.signNote(text, key, (bytes) => coordinator.sign(bytes))));
  return {
    text,
    head: (fromSize: number) => ({
      checkpoint,
      fromSize: BigInt(fromSize),
      consistency: tree.consistencyProof(fromSize),
    }),
    placed: (leaf: Uint8Array) => {
      const place = entries.indexOf(leaf);
      return { leaf, path: { place: BigInt(place), size: BigInt(size), hashes: tree.inclusionProof(place) } };
    },
  };
}
