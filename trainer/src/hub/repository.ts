import { posix } from 'node:path';
import { isSha256, isWeftError, WeftError, type Sha256 } from '@weft/shared';
import { z } from 'zod';
import type { HubAccess } from './access.ts';
import { hubLimits } from './limits.ts';
import type { HubReference } from './reference.ts';
import { bodyOf, request, silenceSignal } from './request.ts';
import { withRetries, type RetryOptions } from './retry.ts';

/** A file of a repository at a commit, and the hash that git gives it. */
export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Of a large file, which git knows by this hash. */
  readonly sha256: Sha256 | undefined;
  /** SHA-1 of the git blob: of a small file its content, of a large one its pointer. */
  readonly gitOid: string;
}

const sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const length = z.int().min(0);
const entrySchema = z.object({
  type: z.string(),
  path: z.string().min(1).max(4096),
  size: length,
  oid: sha1.optional(),
  lfs: z.object({ oid: z.string().refine(isSha256), size: length }).nullish(),
});

/** The commit that a revision means now. */
export async function resolveRevision(
  access: HubAccess,
  reference: HubReference,
  options: RetryOptions,
): Promise<string> {
  const { modelInfo } = await import('@huggingface/hub');
  return answered(async () => {
    const { sha } = await modelInfo({
      name: reference.repository,
      revision: reference.revision,
      hubUrl: access.endpoint,
      additionalFields: ['sha'],
      fetch: askingFetch(access, reference, options),
    });
    return sha1.parse(sha);
  });
}

/** The files of the folder that training needs something from: the root's, or those beside the .gguf. */
export async function listRepository(
  access: HubAccess,
  reference: HubReference,
  commit: string,
  options: RetryOptions,
): Promise<HubFile[]> {
  const { listFiles } = await import('@huggingface/hub');
  const folder = reference.file === undefined ? '.' : posix.dirname(reference.file);
  return answered(async () => {
    const files: HubFile[] = [];
    const entries = listFiles({
      repo: { type: 'model', name: reference.repository },
      revision: commit,
      hubUrl: access.endpoint,
      fetch: askingFetch(access, reference, options),
      ...(folder === '.' ? {} : { path: encodeURI(folder) }),
    });
    for await (const entry of entries) {
      if (files.length >= hubLimits.listedFiles)
        throw new WeftError(
          'WEFT_HUB_LIMIT',
          `${reference.repository} lists more than ${hubLimits.listedFiles} files`,
          { limit: 'hub.listedFiles' },
        );
      files.push(...toHubFile(entry));
    }
    return files;
  });
}

/** None for a folder. */
export function toHubFile(untrusted: unknown): HubFile[] {
  const entry = entrySchema.parse(untrusted);
  if (entry.type !== 'file') return [];
  return [
    {
      path: entry.path,
      sizeBytes: entry.lfs?.size ?? entry.size,
      sha256: entry.lfs?.oid,
      gitOid: sha1.parse(entry.oid),
    },
  ];
}

/** For the hub's own client: tries again, bounds what comes, and gives it on once it is whole. */
function askingFetch(access: HubAccess, reference: HubReference, options: RetryOptions): typeof fetch {
  const { origin } = new URL(access.endpoint);
  let bytes = 0;
  return (input) => {
    const address = input instanceof Request ? input.url : String(input);
    // the address of a next page is the server's word
    if (new URL(address).origin !== origin)
      throw new WeftError('WEFT_HUB_ANSWER_INVALID', 'the listing goes on at another server');
    return withRetries(async () => {
      const silence = silenceSignal(options.signal, hubLimits.silenceMs);
      try {
        const headers = { accept: 'application/json' };
        const response = await request(address, { access, reference, headers, signal: silence.signal });
        const chunks: Uint8Array[] = [];
        for await (const chunk of bodyOf(response)) {
          silence.alive();
          bytes += chunk.length;
          if (bytes > hubLimits.answerBytes)
            throw new WeftError(
              'WEFT_HUB_LIMIT',
              `the hub's answers come to ${bytes} bytes, the limit is ${hubLimits.answerBytes}`,
              { limit: 'hub.answerBytes', actual: bytes },
            );
          chunks.push(chunk);
        }
        const link = response.headers.get('link');
        return new Response(Buffer.concat(chunks), { headers: link === null ? {} : { link } });
      } finally {
        silence.release();
      }
    }, options);
  };
}

/** What is no catalogued error by then is an answer that no hub gives. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (isWeftError(cause) || (cause as { name?: unknown } | null)?.name === 'AbortError') throw cause;
    throw new WeftError('WEFT_HUB_ANSWER_INVALID', 'the hub answered what no hub answers', {}, { cause });
  }
}
