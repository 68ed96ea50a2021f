import { log, sha256, type RunId, type Sha256 } from '@weft/shared';

/** A file beside the log by its path; undefined where there is none. */
export type ReadPublished = (path: string, maxBytes: number) => Promise<Uint8Array | undefined>;

/** A claim that does not hold: nothing that would rest on it is looked at. */
export class Refuted extends Error {
  readonly finding: log.Finding;
  constructor(finding: Omit<log.Finding, 'verdict'>) {
    super(finding.claim);
    this.finding = { verdict: 'fails', ...finding };
  }
}

/** Something that is not there, in words: it can be neither held nor refuted. */
export class NotThere extends Error {}

export const coordinator = 'the coordinator';
const keeper = 'whoever keeps or serves these files';

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Signed bodies have 64 KiB at most, specs a few KiB. */
export const maxBodyBytes = 1 << 20;
/** An adapter or a masked vector: half a billion values of rank 64 on all layers of a 70B model. */
export const maxVectorBytes = 2 ** 31;

export interface BodyOptions {
  /** What it is, for the claim where its bytes are not those of its name. */
  readonly what: string;
  readonly entry: number;
  readonly maxBytes?: number;
}

/** @throws NotThere; Refuted where other bytes lie under this hash */
export async function readBody(
  read: ReadPublished,
  hash: Sha256,
  { what, entry, maxBytes = maxBodyBytes }: BodyOptions,
): Promise<Uint8Array> {
  const bytes = await read(log.bodyPath(hash), maxBytes);
  if (bytes === undefined) throw new NotThere(what);
  if (sha256(bytes) !== hash)
    throw new Refuted({ claim: `${what} is not what its hash ${hash} names`, entry, party: keeper });
  return bytes;
}

/** @throws NotThere, WEFT_LOG_MALFORMED */
export async function readManifest(read: ReadPublished, runId: RunId, round: number): Promise<log.RoundManifest> {
  const bytes = await read(log.manifestPath(runId, round), log.maxManifestBytes);
  if (bytes === undefined) throw new NotThere('the manifest');
  return log.parseManifest(bytes);
}
