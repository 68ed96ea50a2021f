import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { log, WeftError } from '@weft/shared';

/**
 * Reads a file of a log, or one that lies beside it, by its path; undefined where there is none.
 * @throws WEFT_LOG_MALFORMED for more bytes than that; a bundle's where it is left out
 */
export type ReadLog = (path: string, maxBytes?: number) => Promise<Uint8Array | undefined>;

/**
 * A log that is there: one that is not is nobody's lie.
 * @param place the folder `log` of a coordinator's home or a copy of it, or an address: that of the coordinator, or of its /log
 * @throws WEFT_LOG_NOT_FOUND, WEFT_LOG_UNREACHABLE
 */
export async function openLog(place: string): Promise<ReadLog> {
  const read = /^https?:\/\//.test(place) ? fromUrl(place) : fromFolder(place);
  if ((await read('checkpoint')) === undefined)
    throw new WeftError('WEFT_LOG_NOT_FOUND', `there is no log at ${place}: it has no file \`checkpoint\``);
  return read;
}

const fromFolder =
  (folder: string): ReadLog =>
  async (path, maxBytes = log.maxBundleBytes) => {
    try {
      const file = join(folder, path);
      if ((await stat(file)).size > maxBytes) throw tooLong(path, maxBytes);
      return await readFile(file);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  };

const tooLong = (path: string, maxBytes: number): WeftError =>
  new WeftError('WEFT_LOG_MALFORMED', `${path} is longer than ${maxBytes} bytes`);

/** @throws WEFT_LOG_UNREACHABLE */
function fromUrl(place: string): ReadLog {
  const base = new URL(place);
  if (base.pathname === '/') base.pathname = '/log';
  const root = base.href.replace(/\/$/, '');
  return async (path, maxBytes = log.maxBundleBytes) => {
    const answer = await fetch(`${root}/${path}`).catch((cause: unknown) => {
      throw new WeftError('WEFT_LOG_UNREACHABLE', `nobody answers at ${root}`, {}, { cause });
    });
    if (answer.status === 404) return undefined;
    if (!answer.ok || answer.body === null)
      throw new WeftError('WEFT_LOG_UNREACHABLE', `${root} answered ${answer.status} for ${path}`);
    const pieces: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const piece of answer.body) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw tooLong(path, maxBytes);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  };
}

export const logArgument = [
  '<log>',
  'the folder log of a coordinator’s home or a copy of it, or the coordinator’s address',
] as const;
