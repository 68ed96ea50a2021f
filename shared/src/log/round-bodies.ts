import { z } from 'zod';
import { WeftError } from '../errors/weft-error.ts';
import { isRunId, isSha256, type RunId, type Sha256 } from '../ids.ts';

/**
 * What lies beside the log so that others can recompute a round: bodies under their SHA-256, and for each round that
 * publishes one manifest that names them. Nothing of a manifest is believed: leaves and members' signatures decide.
 */
export const bodyPath = (sha256: Sha256): string => `bodies/${sha256}`;
export const manifestPath = (runId: RunId, round: number): string => `rounds/${runId}/${round}.json`;

/** Paths that a log's server may be asked for beside its tiles. */
export const isBodyPath = (path: string): boolean =>
  /^(bodies\/[0-9a-f]{64}|rounds\/r_[0-9a-f]{32}\/(0|[1-9]\d{0,9})\.json)$/.test(path);

/** 10,000 members send six messages each, and each is named in 250 bytes. */
export const maxManifestBytes = 16 << 20;
const maxMembers = 10_000;

const hash = z.string().refine(isSha256);
const publicKey = z.string().regex(/^[0-9a-f]{64}$/);
const signature = z.string().regex(/^[0-9a-f]{128}$/);
const kinds = ['keyAdvert', 'reveal', 'shares', 'complaint', 'maskedInput', 'cutAck', 'opening'] as const;

const manifestSchema = z.strictObject({
  version: z.literal(1),
  runId: z.string().refine(isRunId),
  round: z.number().int().min(0).max(0xffff_ffff),
  /** Milliseconds since 1970: until then the bodies are kept. */
  until: z.number().int().min(0),
  /** The body of the session's Offer. */
  offer: hash,
  /** Ed25519 keys of all that were invited, in hex. */
  invited: z.array(publicKey).max(maxMembers),
  /** What moved the session on, in this order. */
  messages: z
    .array(
      z.union([
        z.strictObject({ kind: z.enum(kinds), body: hash, signature }),
        z.strictObject({ kind: z.literal('deadline') }),
        /** The coordinator's word: this node counts as dropped from here on. */
        z.strictObject({ kind: z.literal('revoked'), publicKey }),
      ]),
    )
    .max(8 * maxMembers),
  /** The updates that are summed: the signed Update, and the masked vector that it names. */
  inputs: z.array(z.strictObject({ publicKey, update: hash, signature, vector: hash })).max(maxMembers),
  /** adapter_model.safetensors that the round began with. */
  previousAdapter: hash,
});

export type RoundManifest = z.infer<typeof manifestSchema>;

export const formatManifest = (manifest: RoundManifest): string => `${JSON.stringify(manifest)}\n`;

/** @throws WEFT_LOG_MALFORMED */
export function parseManifest(bytes: Uint8Array): RoundManifest {
  const malformed = (what: string): WeftError => new WeftError('WEFT_LOG_MALFORMED', `the manifest of a round ${what}`);
  if (bytes.length > maxManifestBytes)
    throw malformed(`has ${bytes.length} bytes, at most ${maxManifestBytes} are allowed`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw malformed('is not JSON');
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) throw malformed(`does not parse at ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  return parsed.data;
}

export const bodiesOf = ({ offer, messages, inputs, previousAdapter }: RoundManifest): Sha256[] => [
  offer,
  previousAdapter,
  ...messages.flatMap((message) => ('body' in message ? [message.body] : [])),
  ...inputs.flatMap(({ update, vector }) => [update, vector]),
];

const dayMs = 24 * 3600 * 1000;

/** When the audit window of a round that ended at `endedAt` is over. */
export const windowEnd = (endedAt: number, auditDays: number): number => Math.floor(endedAt + auditDays * dayMs);

/** What goes at `now`: rounds whose window is over, and the bodies that no other round needs. */
export function expiredRounds(
  manifests: readonly RoundManifest[],
  now: number,
): { readonly rounds: readonly RoundManifest[]; readonly bodies: readonly Sha256[] } {
  const rounds = manifests.filter(({ until }) => until <= now);
  const needed = new Set(manifests.filter(({ until }) => until > now).flatMap(bodiesOf));
  return { rounds, bodies: [...new Set(rounds.flatMap(bodiesOf))].filter((body) => !needed.has(body)) };
}
