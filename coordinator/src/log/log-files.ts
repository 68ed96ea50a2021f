import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { log } from '@weft/shared';
import { writeFileAtomically } from '@weft/trainer';

/** The log as it lies on the disk; a copy of the folder, or a web server on it, is the whole log. */
export interface LogFiles {
  /** What the last process left: nothing where there is no log yet. @throws WEFT_LOG_MALFORMED */
  readCheckpoint(): Promise<log.Checkpoint | undefined>;
  /** Makes the files those of the tree: what changed since `from` first, and the signed checkpoint last. */
  write(from: number, tree: log.LogTree, entries: readonly Uint8Array[], signed: SignedHead): Promise<void>;
  /** The checkpoint again, with more signatures; and beside the log, who they are of. */
  put(file: typeof checkpointFile | typeof cosignedFile | typeof witnessesFile, text: string): Promise<void>;
  /** What the last process left of them. @throws WEFT_LOG_MALFORMED */
  readWitnesses(): Promise<log.Witness[]>;
  /** @returns undefined for a path that is no file of a log */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Where a body or a manifest lies that is beside the log; undefined where there is none. */
  find(path: string): Promise<string | undefined>;
}

export interface SignedHead {
  readonly size: number;
  readonly checkpoint: string;
  readonly verifierKey: string;
}

export const checkpointFile = 'checkpoint';
/** Beside the log for whoever begins with it: the key with which checkpoints are verified. */
export const keyFile = 'vkey';
/** The checkpoint that most organisations cosigned: the newest one may be too young for that. */
export const cosignedFile = 'cosigned';
/** The keys of those who cosign, and by whose word. */
export const witnessesFile = 'witnesses';
/** Files that change, and are text. */
export const textFiles: readonly string[] = [checkpointFile, keyFile, cosignedFile, witnessesFile];

/** @param onCheckpoint called when all that a checkpoint names is written, and before the checkpoint is */
export function openLogFiles(folder: string, onCheckpoint: () => void = () => {}): LogFiles {
  const put = async (path: string, bytes: string | Uint8Array): Promise<void> => {
    const file = join(folder, path);
    if (Buffer.from(bytes).equals((await readIfThere(file)) ?? Buffer.from([0]))) return;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFileAtomically(file, (handle) => handle.writeFile(bytes));
  };
  return {
    async readCheckpoint() {
      const bytes = await readIfThere(join(folder, checkpointFile));
      return bytes && log.parseCheckpoint(log.parseNote(bytes).text);
    },
    async write(from, tree, entries, { size, checkpoint, verifierKey }) {
      for (const tile of log.tilesSince(from, size)) await put(log.tilePath(tile), log.tileBytes(tree, tile));
      for (const bundle of log.bundlesSince(from, size)) {
        const start = bundle.index * log.tileWidth;
        await put(log.bundlePath(bundle), log.encodeBundle(entries.slice(start, start + bundle.width)));
      }
      await put(keyFile, `${verifierKey}\n`);
      onCheckpoint();
      // A restart finds its own checkpoint with the signatures that others gave it.
      const there = await readIfThere(join(folder, checkpointFile));
      if (there?.subarray(0, Buffer.byteLength(checkpoint)).toString() !== checkpoint)
        await put(checkpointFile, checkpoint);
      // Parts of what is whole by now: tlog-tiles lets them go.
      for (const path of [
        ...log.tilesSince(from, size).map(log.tilePath),
        ...log.bundlesSince(from, size).map(log.bundlePath),
      ])
        if (!path.includes('.p/')) await rm(join(folder, `${path}.p`), { recursive: true, force: true });
    },
    put,
    readWitnesses: async () => log.parseWitnesses((await readIfThere(join(folder, witnessesFile))) ?? Buffer.alloc(0)),
    async read(path) {
      if (!textFiles.includes(path) && !log.isTilePath(path)) return undefined;
      return readIfThere(join(folder, path));
    },
    async find(path) {
      const file = join(folder, path);
      const found = log.isBodyPath(path) && (await stat(file).catch(() => undefined))?.isFile() === true;
      return found ? file : undefined;
    },
  };
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(code)) return undefined;
    throw error;
  }
}
