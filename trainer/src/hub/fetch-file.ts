import { open, rm } from 'node:fs/promises';
import { isWeftError, WeftError, type Sha256 } from '@weft/shared';
import { isFull } from '../weights/atomic-file.ts';
import type { HubAccess } from './access.ts';
import type { BlobStore } from './blob-store.ts';
import { hubLimits } from './limits.ts';
import { ReceivedFile } from './received-file.ts';
import type { HubReference } from './reference.ts';
import type { HubFile } from './repository.ts';
import { bodyOf, request, silenceSignal } from './request.ts';
import { withRetries, type RetryOptions } from './retry.ts';

export interface FetchFileOptions extends RetryOptions {
  readonly access: HubAccess;
  readonly reference: HubReference;
  readonly commit: string;
  readonly store: BlobStore;
  /** Bytes of the file that are here; goes back where a server begins anew. */
  readonly onBytes?: ((doneBytes: number) => void) | undefined;
}

export interface FetchedFile {
  readonly sha256: Sha256;
  /** That came over the network in this call; the rest was here. */
  readonly fetchedBytes: number;
}

/** A large file's own hash, a small one's hash in git: what names a partial file, and what the content must come to. */
export const contentId = (file: HubFile): string => file.sha256 ?? file.gitOid;

/**
 * Brings one file into the store, going on from what an earlier try left (RFC 9110, 14.2), and keeps it only if it has
 * the hash that the hub's listing gave: SHA-256 of a large file, SHA-1 of the git blob of a small one.
 * @throws WEFT_HUB_HASH_MISMATCH, WEFT_DISK_FULL, and what `request` throws
 */
export async function fetchFile(file: HubFile, options: FetchFileOptions): Promise<FetchedFile> {
  const { store, onBytes, signal } = options;
  if (file.sha256 !== undefined && (await store.holds(file.sha256, file.sizeBytes, signal))) {
    onBytes?.(file.sizeBytes);
    return { sha256: file.sha256, fetchedBytes: 0 };
  }
  const partial = await store.claimPartial(contentId(file));
  try {
    const first = await fill(partial, file, options);
    // what an earlier process left may be damaged: a machine that lost its power, a disk; so once more from nothing
    const filled = first.matches || first.resumedBytes === 0 ? first : await fill(partial, file, options);
    if (!filled.matches)
      throw new WeftError(
        'WEFT_HUB_HASH_MISMATCH',
        `${file.path} came with ${filled.hashName} ${filled.actual}, the hub's listing says ${contentId(file)}`,
        { file: file.path },
      );
    await store.keep(partial, filled.sha256);
    return { sha256: filled.sha256, fetchedBytes: first.fetchedBytes + (filled === first ? 0 : filled.fetchedBytes) };
  } catch (cause) {
    if (isWeftError(cause, 'WEFT_HUB_HASH_MISMATCH')) await rm(partial, { force: true });
    throw isFull(cause)
      ? new WeftError('WEFT_DISK_FULL', `the disk was full while ${file.path} was fetched`, {}, { cause })
      : cause;
  } finally {
    store.release(partial);
  }
}

interface Filled {
  readonly matches: boolean;
  readonly hashName: string;
  readonly actual: string;
  readonly sha256: Sha256;
  readonly resumedBytes: number;
  readonly fetchedBytes: number;
}

/** Completes the partial file; removes it when it is not what was asked for. */
async function fill(partial: string, file: HubFile, options: FetchFileOptions): Promise<Filled> {
  const handle = await open(partial, 'a+', 0o644);
  let filled: Filled;
  try {
    const received = new ReceivedFile(handle, file);
    const resumedBytes = await received.readExisting(options.signal);
    options.onBytes?.(received.sizeBytes);
    let fetchedBytes = 0;
    const onReceived = (bytes: number): void => {
      fetchedBytes += bytes;
      options.onBytes?.(received.sizeBytes);
    };
    await withRetries(async (progressed) => {
      // an empty file needs no request
      if (received.sizeBytes === file.sizeBytes) return;
      await receive(received, file, options, (bytes) => {
        onReceived(bytes);
        progressed();
      });
    }, options);
    await handle.sync();
    const { sha256, gitOid } = received.digests();
    const [hashName, actual] = file.sha256 === undefined ? ['git SHA-1', gitOid] : ['SHA-256', sha256];
    filled = { matches: actual === contentId(file), hashName, actual, sha256, resumedBytes, fetchedBytes };
  } finally {
    await handle.close();
  }
  if (!filled.matches) await rm(partial, { force: true });
  return filled;
}

/** One connection's worth: from where the file ends to its end, or until the connection does. */
async function receive(
  received: ReceivedFile,
  file: HubFile,
  { access, reference, commit, signal }: FetchFileOptions,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  const silence = silenceSignal(signal, hubLimits.silenceMs);
  try {
    const from = received.sizeBytes;
    const response = await request(`${access.endpoint}/${reference.repository}/resolve/${commit}/${path}`, {
      access,
      reference,
      headers: from === 0 ? {} : { range: `bytes=${from}-` },
      signal: silence.signal,
    });
    try {
      const begins = firstByte(response, from, file);
      if (begins < from) await received.beginAnew();
    } catch (error) {
      await response.body?.cancel();
      throw error;
    }
    for await (const chunk of bodyOf(response)) {
      silence.alive();
      await received.append(chunk);
      onReceived(chunk.length);
    }
  } finally {
    silence.release();
  }
  if (received.sizeBytes < file.sizeBytes)
    throw new WeftError(
      'WEFT_HUB_UNREACHABLE',
      `the connection ended after ${received.sizeBytes} of ${file.sizeBytes} bytes of ${file.path}`,
    );
}

/** 206 begins where it says, 200 at the start; either has to speak of a file of the listed size. */
function firstByte(response: Response, asked: number, { path, sizeBytes }: HubFile): number {
  const range = /^bytes (?<from>\d+)-\d+\/(?<total>\d+)$/.exec(response.headers.get('content-range') ?? '')?.groups;
  const total = response.status === 206 ? range?.['total'] : response.headers.get('content-length');
  if (total !== null && total !== undefined && Number(total) !== sizeBytes)
    throw new WeftError(
      'WEFT_HUB_HASH_MISMATCH',
      `${path} is to come with ${total} bytes, the hub's listing says ${sizeBytes}`,
    );
  if (response.status !== 206) return 0;
  if (Number(range?.['from']) === asked) return asked;
  throw new WeftError(
    'WEFT_HUB_ANSWER_INVALID',
    `bytes from ${asked} of ${path} were asked for, others came (${range?.['from'] ?? 'no Content-Range'})`,
  );
}
