import { toFederationId, type Identity } from '../../src/identity.ts';
import { leafHash } from '../../src/merkle-tree.ts';
import { formatCheckpoint, logOrigin } from '../../src/log/checkpoint.ts';
import { LogTree } from '../../src/log/log-tree.ts';
import {
  formatNote,
  formatVerifierKey,
  signNote,
  verifierKey,
  type SignedNote,
  type VerifierKey,
} from '../../src/log/signed-note.ts';
import { bundlePath, bundlesOf, encodeBundle, tileBytes, tilePath, tilesOf, tileWidth } from '../../src/log/tiles.ts';

export const logKeyOf = ({ publicKey }: Identity): VerifierKey =>
  verifierKey(logOrigin(toFederationId(publicKey)), publicKey);

export const treeOf = (entries: readonly Uint8Array[]): LogTree => {
  const tree = new LogTree();
  for (const entry of entries) tree.append(leafHash(entry));
  return tree;
};

/** The checkpoint of a history, in the name of `owner`; signed by another where one is given. */
export function checkpointOf(entries: readonly Uint8Array[], owner: Identity, signer = owner): SignedNote {
  const key = logKeyOf(owner);
  const text = formatCheckpoint({ origin: key.name, ...treeOf(entries).head(), extensions: [] });
  return signNote(text, key, (message) => signer.sign(message));
}

/** The files that a coordinator with this history writes. */
export function logFilesOf(entries: readonly Uint8Array[], owner: Identity, signer = owner): Map<string, Uint8Array> {
  const tree = treeOf(entries);
  const files = new Map<string, Uint8Array>();
  for (const tile of tilesOf(tree.size)) files.set(tilePath(tile), tileBytes(tree, tile));
  for (const { index, width } of bundlesOf(tree.size))
    files.set(bundlePath({ index, width }), encodeBundle(entries.slice(index * tileWidth, index * tileWidth + width)));
  files.set('checkpoint', Buffer.from(formatNote(checkpointOf(entries, owner, signer))));
  files.set('vkey', Buffer.from(`${formatVerifierKey(logKeyOf(owner))}\n`));
  return files;
}
