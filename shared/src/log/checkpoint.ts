import { WeftError } from '../errors/weft-error.ts';
import type { TreeHead } from '../merkle-tree.ts';
import { fromBase64 } from './signed-note.ts';

/** C2SP tlog-checkpoint: which log, how many leaves, their root. */
export interface Checkpoint extends TreeHead {
  readonly origin: string;
  /** Further lines, which nobody has to understand. */
  readonly extensions: readonly string[];
}

/** The log of a federation; its id is the hash of the coordinator's key, so the name pins the key. */
export const logOrigin = (federationId: string): string => `weft-log/${federationId}`;

export const formatCheckpoint = ({ origin, size, root, extensions }: Checkpoint): string =>
  [origin, String(size), Buffer.from(root).toString('base64'), ...extensions, ''].join('\n');

/** @throws WEFT_LOG_MALFORMED */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n');
  const root = fromBase64(rootText);
  const size = Number(sizeText);
  const extensions = rest.slice(0, -1);
  const holds =
    origin !== '' &&
    /^(0|[1-9]\d{0,15})$/.test(sizeText) &&
    Number.isSafeInteger(size) &&
    root?.length === 32 &&
    rest.at(-1) === '' &&
    extensions.every((line) => line !== '');
  if (!holds) throw new WeftError('WEFT_LOG_MALFORMED', 'a checkpoint is an origin, a size and a root of 32 bytes');
  return { origin, size, root, extensions };
}
