import type { LoggedLeaf, LogPath, LogProof } from '@weft/proto';
import type { log } from '@weft/shared';

const toPath = (path: LogPath | undefined): log.LeafPath => ({
  place: Number(path?.place ?? -1n),
  size: Number(path?.size ?? -1n),
  hashes: path?.hashes ?? [],
});
const toLeaf = ({ leaf, path }: LoggedLeaf): log.ShownLeaf => ({ leaf, path: toPath(path) });

/** The parts of a message, as what reads them takes them: `log.readShownHead`, `readShownRound`, `readShownAdapter`. */
export const fromLogProof = ({ checkpoint, fromSize, consistency, leaves, update, adapter }: LogProof) => ({
  head: { checkpoint, fromSize: Number(fromSize), consistency },
  round: { leaves: leaves.map(toLeaf), update: update && toPath(update) },
  adapter: adapter && toLeaf(adapter),
});
