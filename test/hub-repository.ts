import { createHash } from 'node:crypto';

/** What `hub-server.ts` holds: files with the hashes that git and its large-file storage give them. */
export interface HubRepository {
  /** Branch or tag → path → content. */
  readonly revisions: Readonly<Record<string, Readonly<Record<string, Uint8Array | string>>>>;
  /** Who may not ask: nobody without this token, who is told that there is nothing. */
  readonly privateTo?: string;
  /** Whose token has accepted the terms; others see the listing and no file. */
  readonly gatedTo?: string;
  /** Path → what the listing says instead of the truth. */
  readonly listedAs?: Readonly<Record<string, { readonly sizeBytes?: number; readonly sha256?: string }>>;
}

/** A digest in hexadecimal. */
export const hex = (algorithm: string, ...parts: (string | Uint8Array)[]): string => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

const gitOid = (content: Uint8Array): string => hex('sha1', `blob ${content.length}\0`, content);

/** The extensions that the hub's own .gitattributes gives to LFS. */
const isLarge = (path: string): boolean => /\.(?:safetensors|gguf|bin|pt|onnx)$/.test(path);

export interface HubEntry {
  readonly path: string;
  readonly content: Uint8Array;
  readonly oid: string;
  readonly lfs: { readonly oid: string; readonly size: number; readonly pointerSize: number } | undefined;
}

const toEntry = ([path, given]: [string, Uint8Array | string]): HubEntry => {
  const content = Buffer.from(given);
  if (!isLarge(path)) return { path, content, oid: gitOid(content), lfs: undefined };
  const sha256 = hex('sha256', content);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${content.length}\n`;
  const lfs = { oid: sha256, size: content.length, pointerSize: pointer.length };
  return { path, content, oid: gitOid(Buffer.from(pointer)), lfs };
};

const known = new WeakMap<object, HubEntry[]>();

export const entriesOf = (files: Readonly<Record<string, Uint8Array | string>>): HubEntry[] => {
  const entries =
    known.get(files) ??
    Object.entries(files)
      .map(toEntry)
      .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  known.set(files, entries);
  return entries;
};

export const commitOfEntries = (entries: readonly HubEntry[]): string =>
  hex('sha1', ...entries.map(({ path, oid }) => `${oid} ${path}\n`));

/** A folder's entries as the hub's API lists them: folders first. */
export const listTree = (
  { listedAs }: HubRepository,
  entries: readonly HubEntry[],
  folder: string,
  recursive: boolean,
): object[] => {
  const prefix = folder === '' ? '' : `${folder}/`;
  const below = entries.filter(({ path }) => path.startsWith(prefix));
  const folders = new Set(
    below.flatMap(({ path }) => {
      const parts = path.slice(prefix.length).split('/').slice(0, -1);
      return parts.map((_, i) => prefix + parts.slice(0, i + 1).join('/'));
    }),
  );
  const isHere = (path: string): boolean => recursive || !path.slice(prefix.length).includes('/');
  return [
    ...[...folders].filter(isHere).map((path) => ({ type: 'directory', oid: hex('sha1', path), size: 0, path })),
    ...below
      .filter(({ path }) => isHere(path))
      .map(({ path, content, oid, lfs }) => {
        const said = listedAs?.[path];
        const size = said?.sizeBytes ?? content.length;
        return { type: 'file', oid, size, path, lfs: lfs && { ...lfs, oid: said?.sha256 ?? lfs.oid, size } };
      }),
  ];
};
