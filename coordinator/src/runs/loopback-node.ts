import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  NodeMessageSchema,
  OfferKind,
  ReceiptSchema,
  RoundOfferSchema,
  UpdateSchema,
  type Envelope,
  type Receipt,
  type RoundOffer,
} from '@weft/proto';
import {
  createAdapterLayout,
  createIdentity,
  createSeededRandom,
  domains,
  factorSize,
  openEnvelope,
  parseRunSpec,
  payloadOf,
  privacy,
  quantizeUpdate,
  sealEnvelope,
  sha256,
  toNodeId,
  updateEncoding,
  type Identity,
  type NodeId,
  type RunSpecInput,
  type TrainedFactor,
} from '@weft/shared';
import type { CoordinatorSays } from '../federation/ports.ts';
import type { Runs } from './runs.ts';

/** A base model in name: rounds never look at its weights. */
export const loopbackModel = {
  name: 'tiny',
  sha256: sha256('a base model'),
  path: '/nowhere',
  files: [],
  dimensions: { layers: 2, hiddenSize: 8, intermediateSize: 16, heads: 2, kvHeads: 1, headDim: 4 },
};

export const loopbackSpec = (
  changes: { rounds?: number; minimum?: number; maximum?: number } & Partial<RunSpecInput['aggregation']> = {},
): RunSpecInput => {
  const { rounds = 2, minimum = 3, maximum = 3, ...aggregation } = changes;
  return {
    name: 'loopback',
    baseModel: { name: loopbackModel.name, sha256: loopbackModel.sha256 },
    adapter: { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] },
    training: { steps: 1 },
    cohort: { minimum, maximum },
    aggregation: { mode: 'plain', weightCap: 100, ...aggregation },
    rounds,
    seed: 7,
  };
};

export const coordinatorIdentity = createIdentity(Buffer.alloc(32, 7)).identity;

type Says = NonNullable<MessageInitShape<typeof NodeMessageSchema>['kind']>;

/** A signed update and the bytes that it names. */
export interface PreparedUpdate {
  readonly envelope: Envelope;
  readonly payload: Uint8Array;
}

/** Does what a node agent does, with drawn numbers in the place of training: the same for node, round and adapter. */
export class LoopbackNode {
  readonly identity: Identity;
  readonly id: NodeId;
  readonly heard: CoordinatorSays[] = [];
  readonly receipts: Receipt[] = [];
  runs!: Runs;
  readonly #index: number;
  readonly #home: string;

  constructor(index: number, home = tmpdir()) {
    this.#index = index;
    this.#home = home;
    this.identity = createIdentity(Buffer.alloc(32, index + 1)).identity;
    this.id = toNodeId(this.identity.publicKey);
  }

  say(kind: Says): Promise<void> {
    return this.runs.receive(this.id, create(NodeMessageSchema, { kind }).kind);
  }

  /** Reacts to a message as an agent would. */
  async follow(message: CoordinatorSays): Promise<void> {
    if (message.case === 'roundOffer') {
      const offer = this.readOffer(message);
      await this.evaluate(offer);
      if (offer.kind === OfferKind.TRAIN) await this.ready(offer);
    }
    if (message.case === 'cohort') await this.upload(this.prepare(this.#recallOffer()));
  }

  readOffer(message: CoordinatorSays): RoundOffer {
    if (message.case !== 'roundOffer') throw new Error(`${message.case} is no offer`);
    const envelope = message.value as Envelope;
    const offer = openEnvelope(domains.roundOffer, RoundOfferSchema, envelope, coordinatorIdentity.publicKey);
    writeFileSync(this.#offerFile, envelope.body);
    return offer;
  }

  /** An agent keeps what it works on across restarts. */
  #recallOffer = (): RoundOffer => fromBinary(RoundOfferSchema, readFileSync(this.#offerFile));

  get #offerFile(): string {
    return join(this.#home, `${this.id}.offer`);
  }

  /** The newest offer that it heard. */
  get offer(): RoundOffer {
    return this.readOffer(this.heard.findLast((message) => message.case === 'roundOffer')!);
  }

  evaluate({ runId, round, adapter }: RoundOffer): Promise<void> {
    const tokens = 10n * BigInt(this.#index + 1);
    return this.say({
      case: 'evaluation',
      value: { runId, round, adapterSha256: adapter!.sha256, lossSum: 20 * (this.#index + 1), tokens },
    });
  }

  ready(offer: RoundOffer, { payload } = this.prepare(offer)): Promise<void> {
    const { runId, round } = offer;
    return this.say({
      case: 'ready',
      value: { runId, round, payloadSha256: sha256(payload), payloadBytes: BigInt(payload.length), trainingMs: 5n },
    });
  }

  /** @param change what an attacker or a confused node would say instead */
  prepare(
    offer: RoundOffer,
    change: {
      update?: Partial<MessageInitShape<typeof UpdateSchema>>;
      payload?: (bytes: Uint8Array) => void;
      signer?: Identity;
    } = {},
  ): PreparedUpdate {
    const spec = parseRunSpec(JSON.parse(Buffer.from(offer.runSpec).toString()));
    const layout = createAdapterLayout(loopbackModel.dimensions, spec.adapter);
    const factor = (['both', 'A', 'B', 'both'] as const)[offer.factor] as TrainedFactor;
    const values = factorSize(layout, factor);
    const random = createSeededRandom(`node ${this.#index} from ${offer.adapter!.sha256}`);
    const delta = Float32Array.from({ length: values }, () => (random.uniform() - 0.5) * 0.2);
    const encoding = updateEncoding(spec, values);
    const { clipNormL2, weightCap } = encoding.offered;
    const weight = Math.min(10 * (this.#index + 1), weightCap);
    const rotationSeed = privacy.rotationSeed(offer.runId, offer.round);
    const quantized = quantizeUpdate(delta, encoding.grid, { clipNormL2, weight, weightCap, rotationSeed, random })!;
    const payload = payloadOf(encoding, quantized, { weight });
    change.payload?.(payload);
    const body = {
      runId: offer.runId,
      round: offer.round,
      nodeId: this.id,
      baseModelSha256: offer.baseModelSha256,
      layoutSha256: offer.layoutSha256,
      previousAdapterSha256: offer.adapter!.sha256,
      factor: offer.factor,
      payloadSha256: sha256(payload),
      payloadBytes: BigInt(payload.length),
      ringBits: encoding.form.bits,
      values: BigInt(values),
      weight: BigInt(weight),
      clipped: quantized.clipped,
      saturatedValues: BigInt(quantized.saturatedValues),
      ...change.update,
    };
    return { envelope: sealEnvelope(domains.update, UpdateSchema, body, change.signer ?? this.identity), payload };
  }

  /** As the transfer code does it: on from where the coordinator says, in small pieces. */
  async upload({ envelope, payload }: PreparedUpdate, { offset = 0, pieceBytes = 100 } = {}): Promise<Receipt> {
    const sink = await this.runs.openUpload(this.id, envelope, offset);
    try {
      for (let at = offset; at < payload.length; at += pieceBytes)
        await sink.write(payload.subarray(at, at + pieceBytes));
    } catch (error) {
      await sink.suspend();
      throw error;
    }
    const receipt = openEnvelope(domains.receipt, ReceiptSchema, await sink.finish(), coordinatorIdentity.publicKey);
    this.receipts.push(receipt);
    return receipt;
  }

  status(runId: string, round: number, payload: Uint8Array) {
    return this.runs.uploadStatus(this.id, { runId, round, payloadSha256: sha256(payload) });
  }
}

export const receiptBytes = (receipt: Receipt): string => Buffer.from(toBinary(ReceiptSchema, receipt)).toString('hex');
