import { Factor, OfferKind, RoundOfferSchema, type BlobRef, type Envelope, type RoundOffer } from '@weft/proto';
import {
  canonicalJson,
  domains,
  isRunId,
  isSha256,
  openEnvelope,
  parseRunSpec,
  privacy,
  WeftError,
  type RunId,
  type RunSpec,
  type Sha256,
  type TrainedFactor,
} from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';

/** Named limits of an offer, each with its reason. */
const limits = {
  /** A spec is a page of settings. */
  runSpecBytes: 64 * 1024,
  /** The largest published models come in a few hundred shards. */
  modelFiles: 2000,
  modelBytes: 2 ** 43,
  /** LoRA of rank 256 on every layer of a 70-billion-parameter model stays below it. */
  adapterBytes: 2 ** 35,
} as const;

export interface OfferedBlob {
  readonly name: string;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** A round offer whose signature held and whose parts fit together. */
export interface Offer {
  readonly runId: RunId;
  readonly round: number;
  readonly kind: 'train' | 'evaluate';
  readonly spec: RunSpec;
  readonly baseModelFiles: readonly OfferedBlob[];
  readonly layoutSha256: Sha256;
  readonly adapter: OfferedBlob;
  readonly factor: TrainedFactor;
  readonly batchSeed: bigint;
  /** What an update of this round is clipped to. */
  readonly clipNormL2: number;
}

/** What is needed to decline an offer that cannot be read further. */
export interface OfferSubject {
  readonly runId: string;
  readonly round: number;
}

/**
 * @param onSubject learns run and round as soon as the signature held
 * @throws WEFT_SIGNATURE_INVALID, WEFT_WRONG_FEDERATION, WEFT_SPEC_INVALID, WEFT_NODE_OFFER_INVALID
 */
export function openOffer(
  envelope: Envelope,
  federation: Federation,
  onSubject: (subject: OfferSubject) => void = () => {},
): Offer {
  const offer = openEnvelope(domains.roundOffer, RoundOfferSchema, envelope, federation.coordinatorKey);
  onSubject({ runId: offer.runId, round: offer.round });
  if (offer.federationId !== federation.federationId) {
    throw new WeftError(
      'WEFT_WRONG_FEDERATION',
      `the offer is of ${offer.federationId}, this node belongs to ${federation.federationId}`,
    );
  }
  if (!isRunId(offer.runId)) throw invalid('its run id has another form');
  const spec = parseSpec(offer.runSpec);
  if (offer.baseModelSha256 !== spec.baseModel.sha256) throw invalid('it names another base model than its run spec');
  if (offer.baseModelFiles.length > limits.modelFiles)
    throw invalid(`the base model has ${offer.baseModelFiles.length} files, the limit is ${limits.modelFiles}`);
  if (offer.adapter === undefined) throw invalid('it names no adapter');
  if (!isSha256(offer.layoutSha256)) throw invalid('its layout hash has another form');
  return {
    runId: offer.runId,
    round: offer.round,
    kind: kindOf(offer),
    spec,
    baseModelFiles: offer.baseModelFiles.map((file) => parseBlob(file, limits.modelBytes)),
    layoutSha256: offer.layoutSha256,
    adapter: parseBlob(offer.adapter, limits.adapterBytes),
    factor: factorOf(offer, spec),
    batchSeed: offer.batchSeed,
    clipNormL2: clipNormOf(offer, spec),
  };
}

/** Only the canonical bytes are taken: what was hashed when the run was created is what this node reads. */
function parseSpec(bytes: Uint8Array): RunSpec {
  if (bytes.length > limits.runSpecBytes)
    throw invalid(`its run spec has ${bytes.length} bytes, the limit is ${limits.runSpecBytes}`);
  const text = Buffer.from(bytes).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new WeftError(
      'WEFT_NODE_OFFER_INVALID',
      'the round offer does not hold together: its run spec is not JSON',
      {},
      { cause },
    );
  }
  const spec = parseRunSpec(json);
  if (canonicalJson(spec) !== text) throw invalid('its run spec is not in canonical form');
  return spec;
}

function kindOf({ kind }: RoundOffer): Offer['kind'] {
  if (kind === OfferKind.TRAIN) return 'train';
  if (kind === OfferKind.EVALUATE) return 'evaluate';
  throw invalid('it asks for work that this node does not know');
}

/** Which factor is due follows from the rounds that were committed, so only what the schedule never asks for is refused. */
function factorOf({ factor }: RoundOffer, { adapter: { schedule } }: RunSpec): TrainedFactor {
  const named = new Map<Factor, TrainedFactor>([
    [Factor.A, 'A'],
    [Factor.B, 'B'],
    [Factor.BOTH, 'both'],
  ]).get(factor);
  const allowed: Record<typeof schedule, readonly TrainedFactor[]> = {
    rolora: ['A', 'B'],
    ffa: ['B'],
    fedit: ['both'],
  };
  if (named === undefined || !allowed[schedule].includes(named))
    throw invalid(`it trains ${named ?? 'nothing'} under the schedule ${schedule}`);
  return named;
}

/** The spec's; where the run adapts it, as far from that as so many rounds can lead. */
function clipNormOf({ clipNormL2, round }: RoundOffer, { aggregation, privacy: section }: RunSpec): number {
  const steps = section?.adaptiveClipping ? round : 0;
  const begun = aggregation.clipNormL2;
  if (steps === 0 ? clipNormL2 !== begun : !privacy.clipNormFollows(begun, clipNormL2, steps))
    throw invalid(`it clips to ${clipNormL2}, and the run spec to ${begun}${steps > 0 ? ` ${steps} rounds ago` : ''}`);
  return clipNormL2;
}

function parseBlob({ name, sha256: hash, sizeBytes }: BlobRef, limitBytes: number): OfferedBlob {
  if (!isSha256(hash)) throw invalid('a blob has a hash of another form');
  if (sizeBytes > BigInt(limitBytes)) throw invalid(`a blob has ${sizeBytes} bytes, the limit is ${limitBytes}`);
  // the name becomes a file of the cache
  if (!/^\w[\w. +-]{0,200}$/.test(name)) throw invalid('a blob has a name that is no plain file name');
  return { name, sha256: hash, sizeBytes: Number(sizeBytes) };
}

const invalid = (what: string): WeftError =>
  new WeftError('WEFT_NODE_OFFER_INVALID', `the round offer does not hold together: ${what}`);
