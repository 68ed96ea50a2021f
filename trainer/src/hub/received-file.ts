import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { isSha256, WeftError, type Sha256 } from '@weft/shared';
import type { HubFile } from './repository.ts';

/** What has come of a file, hashed on its way. */
export class ReceivedFile {
  readonly #handle: FileHandle;
  readonly #file: HubFile;
  #sha256!: Hash;
  #gitOid!: Hash;
  sizeBytes = 0;

  constructor(handle: FileHandle, file: HubFile) {
    this.#handle = handle;
    this.#file = file;
    this.#reset();
  }

  #reset(): void {
    this.sizeBytes = 0;
    this.#sha256 = createHash('sha256');
    // git hashes a blob with this before it (gitformat: object header)
    this.#gitOid = createHash('sha1').update(`blob ${this.#file.sizeBytes}\0`);
  }

  /** Hashes what an earlier try left. @returns its bytes */
  async readExisting(signal: AbortSignal | undefined): Promise<number> {
    const { size } = await this.#handle.stat();
    if (size > this.#file.sizeBytes) await this.#handle.truncate(0);
    const piece = new Uint8Array(1024 * 1024);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(piece, 0, piece.length, this.sizeBytes);
      if (bytesRead === 0) return this.sizeBytes;
      this.#add(piece.subarray(0, bytesRead));
    }
  }

  /** For a server that begins at the start. */
  async beginAnew(): Promise<void> {
    await this.#handle.truncate(0);
    this.#reset();
  }

  /** @throws WEFT_HUB_HASH_MISMATCH when it would be longer than the listing says */
  async append(chunk: Uint8Array): Promise<void> {
    const { path, sizeBytes } = this.#file;
    if (this.sizeBytes + chunk.length > sizeBytes)
      throw new WeftError(
        'WEFT_HUB_HASH_MISMATCH',
        `more than ${sizeBytes} bytes of ${path} came, which is what the hub's listing says`,
      );
    await this.#handle.appendFile(chunk);
    this.#add(chunk);
  }

  #add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#gitOid.update(bytes);
    this.sizeBytes += bytes.length;
  }

  digests(): { readonly sha256: Sha256; readonly gitOid: string } {
    const sha256 = this.#sha256.digest('hex');
    if (!isSha256(sha256)) throw new WeftError('WEFT_INTERNAL', 'a digest has the wrong length');
    return { sha256, gitOid: this.#gitOid.digest('hex') };
  }
}
