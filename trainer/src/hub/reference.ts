import { WeftError } from '@weft/shared';
import { hubLimits } from './limits.ts';

/** A model on a hub, as a command line names it: `hf:ORG/NAME[@REVISION][:FILE.gguf]`. */
export interface HubReference {
  /** `ORG/NAME` */
  readonly repository: string;
  /** Branch, tag or commit; `main` where none is named. */
  readonly revision: string;
  /** Path of a .gguf file in the repository; undefined for the folder of safetensors. */
  readonly file: string | undefined;
}

const prefix = 'hf:';
const defaultRevision = 'main';

export const isHubReference = (path: string): boolean => path.startsWith(prefix);

/** The hub's own rule for a name: letters, digits, `-`, `_`, `.`; no `--` or `..`; neither `-` nor `.` at an end. */
const isName = (name: string): boolean =>
  /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/.test(name) && !/--|\.\./.test(name);

/** What git takes as a name of a branch or tag (git-check-ref-format), in ASCII; a commit is one, too. */
const isRevision = (revision: string): boolean =>
  revision.length <= 200 &&
  /^[A-Za-z0-9_][A-Za-z0-9._/+-]*$/.test(revision) &&
  !/\.\.|\/\/|\/\.|\.lock(?:\/|$)|[/.]$/.test(revision);

/** A path below the repository's root that is the same on every system: no `..`, no drive, no control character. */
export const isPlainPath = (path: string): boolean =>
  path.length <= hubLimits.pathLength &&
  path.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9 ._+=,()-]*$/.test(part) && !/[. ]$/.test(part));

/**
 * @param file what `--file` names
 * @throws WEFT_HUB_REFERENCE_INVALID
 */
export function parseReference(text: string, file?: string): HubReference {
  const match = /^hf:(?<org>[^/@:]+)\/(?<name>[^/@:]+)(?:@(?<revision>[^@:]+))?(?::(?<inside>[^:]+))?$/.exec(text);
  const { org, name, revision = defaultRevision, inside } = match?.groups ?? {};
  if (org === undefined || name === undefined || !isName(org) || !isName(name))
    throw invalid(`${quoted(text)} names no model of a hub`);
  if (!isRevision(revision)) throw invalid(`${quoted(revision)} is no revision`);
  if (file !== undefined && inside !== undefined && file !== inside)
    throw invalid(`the reference names ${quoted(inside)}, --file names ${quoted(file)}`);
  const wanted = file ?? inside;
  if (wanted !== undefined && !(isPlainPath(wanted) && wanted.toLowerCase().endsWith('.gguf')))
    throw invalid(`${quoted(wanted)} is no path of a .gguf file`);
  return { repository: `${org}/${name}`, revision, file: wanted };
}

export const formatReference = ({ repository, revision, file }: HubReference): string =>
  `${prefix}${repository}${revision === defaultRevision ? '' : `@${revision}`}${file === undefined ? '' : `:${file}`}`;

const quoted = (text: string): string => JSON.stringify(text.slice(0, 120));

const invalid = (what: string): WeftError => new WeftError('WEFT_HUB_REFERENCE_INVALID', what);
