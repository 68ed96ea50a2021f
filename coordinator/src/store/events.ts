import {
  endorsementBytes,
  isNodeId,
  isSha256,
  roundPhases,
  runSpecSchema,
  type NodeId,
  type RunId,
  type Sha256,
} from '@weft/shared';
import { z } from 'zod';

const hash = z.custom<Sha256>(
  (value) => typeof value === 'string' && isSha256(value),
  'must be 64 lower-case hex digits',
);
const nodeId = z.custom<NodeId>((value) => typeof value === 'string' && isNodeId(value), 'must be a node id');
const timestamp = z.number().int().describe('milliseconds since 1970');
const count = z.number().int().min(0);
const share = z.number().min(0).max(1);
const reason = z.strictObject({ code: z.string(), message: z.string() });
const nothing = z.strictObject({});
/** Shards of a secure round whose sums no honest members could have made, and who was in them: they are left out whole. */
const refusedShards = z.array(z.strictObject({ nodeIds: z.array(nodeId), because: z.string() }));
const blob = z.strictObject({ sha256: hash, sizeBytes: count });
/** A loss that is not finite is null: no row of JSON can hold it. */
const gateScore = z.strictObject({ lossSum: z.number().nullable(), tokens: count });
const gateComparison = z.strictObject({ before: gateScore, after: gateScore });

/**
 * Every kind of row of the event table, and the shape of its data. Recovery, the admin page, the command line and audit
 * all read these rows, so a shape only ever gains optional members.
 */
export const eventSchemas = {
  // Registry: kind and nodeId say whom it is about.
  'invite.created': z.strictObject({ tokenSha256: hash, expiresAt: timestamp, autoApprove: z.boolean() }),
  'invite.used': z.strictObject({ tokenSha256: hash }),
  'node.enrolled': z.strictObject({
    publicKey: z.string().regex(/^[0-9a-f]{64}$/),
    name: z.string(),
    organisation: z.string(),
    /** An organisation's word for this node. */
    endorsement: z
      .string()
      .regex(new RegExp(`^[0-9a-f]{${2 * endorsementBytes}}$`))
      .optional(),
  }),
  'node.approved': z.strictObject({ by: z.enum(['admin', 'invite']) }),
  'node.revoked': nothing,

  'model.registered': z.strictObject({
    name: z.string(),
    sha256: hash,
    path: z.string(),
    files: z.array(z.strictObject({ name: z.string(), file: z.string(), sizeBytes: count, sha256: hash })),
    dimensions: z.strictObject({
      layers: count,
      hiddenSize: count,
      intermediateSize: count,
      heads: count,
      kvHeads: count,
      headDim: count,
    }),
  }),

  'run.created': z.strictObject({ spec: runSpecSchema, specSha256: hash, layoutSha256: hash, adapter: blob }),
  'run.started': nothing,
  /** With a reason where the coordinator paused it by itself. */
  'run.paused': z.strictObject({ reason: reason.optional() }),
  'run.resumed': nothing,
  /** The process came back while a round was under way: its deadlines move by the time that it was gone. */
  'run.recovered': nothing,
  'run.stopped': nothing,
  'run.finished': z.strictObject({ adapter: blob }),
  'run.aborted': z.strictObject({ reason }),
  /** The run goes on from, or ends in, an earlier version of its adapter. */
  'run.rolledBack': z.strictObject({ adapter: blob, from: hash, reason: z.string().optional() }),

  /** Each try has a number of its own, so a round that was aborted leaves a gap in the committed ones. */
  'round.started': z.strictObject({
    factor: z.enum(['A', 'B', 'both']),
    adapter: blob,
    batchSeed: count,
    /** Adapted to the median node of earlier rounds: from here on the quorum is enough. */
    quorumDeadlineAt: timestamp,
    /** From here on the round ends, one way or the other. */
    deadlineAt: timestamp,
  }),
  'round.phase': z.strictObject({ phase: z.enum(roundPhases), deadlineAt: timestamp.optional() }),
  'node.offered': z.strictObject({ work: z.enum(['train', 'evaluate']), adapterSha256: hash }),
  'evaluation.reported': z.strictObject({ adapterSha256: hash, lossSum: z.number(), tokens: count }),
  'node.ready': z.strictObject({
    payloadSha256: hash,
    payloadBytes: count,
    /** As the node measured it. */
    trainingMs: count,
    /** From the offer to this row. */
    elapsedMs: count,
    /** Under which secure aggregation will know it. */
    publicKey: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    /** Entries of the log that it has seen. */
    logSize: count.optional(),
    /** Key of the organisation that endorsed it. */
    organisation: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    /** SHA-256 of what it reveals if it is a beacon of the shards. */
    beaconCommitment: hash.optional(),
  }),
  'node.declined': reason,
  /** perOrganisation: it was ready, and its organisation has as many members in the cohort as it may. */
  'node.left': z.strictObject({ cause: z.enum(['lease', 'revoked', 'perOrganisation']), silentMs: count }),
  'cohort.fixed': z.strictObject({ nodeIds: z.array(nodeId), deadlineAt: timestamp }),
  /** Secure aggregation begins among the ready nodes: the Offer's exact bytes, and who may answer it. */
  'secagg.opened': z.strictObject({
    offer: z.base64(),
    members: z.array(z.strictObject({ nodeId, publicKey: z.string().regex(/^[0-9a-f]{64}$/) })),
  }),
  /** What moved the session on: a member's signed body, the end of a deadline, or that a member is one no more. */
  'secagg.moved': z.strictObject({
    kind: z.enum([
      'keyAdvert',
      'reveal',
      'shares',
      'complaint',
      'maskedInput',
      'cutAck',
      'opening',
      'deadline',
      'revoked',
    ]),
    revoked: nodeId.optional(),
    body: z.base64().optional(),
    signature: z.base64().optional(),
    /** What it completed, as the session's machine fixed it: its roster's root, its cut, the hash of the cut that opened. */
    fixed: z.strictObject({ leaf: z.enum(['roster', 'cut', 'open']), bytes: z.base64() }).optional(),
  }),
  /** Named by the evidence in the session's rows; left out of every later round of the run. */
  'node.blamed': z.strictObject({ because: z.string() }),
  'update.accepted': z.strictObject({
    /** Of the Update's exact bytes, which follow with their signature: evidence for an audit. */
    updateSha256: hash,
    update: z.base64(),
    signature: z.base64(),
    payloadSha256: hash,
    payloadBytes: count,
    weight: count,
    clipped: z.boolean(),
    saturatedValues: count,
    values: count,
    transferMs: count,
    /** Of a masked vector: RFC 6962 over its chunks, in hex. */
    chunkRoot: hash.optional(),
  }),
  /** A sum that the evaluation gate has yet to pass; it is durable, and not added up again. */
  'round.aggregated': z.strictObject({
    adapter: blob,
    momentum: blob.optional(),
    weightSum: count,
    refusedShards: refusedShards.optional(),
    deltaNormL2: z.number(),
    /** In a run that adapts its clip norm: the noised share of updates within it, as it was released. */
    withinShare: share.optional(),
    seconds: z.number(),
  }),
  /** What an adapter scored on the gate's file; once for each. */
  'gate.scored': z.strictObject({ adapterSha256: hash, ...gateScore.shape }),
  'round.committed': z.strictObject({
    adapter: blob,
    /** The server optimizer's momentum after this round, by hash. */
    momentum: blob.optional(),
    nodeIds: z.array(nodeId),
    weightSum: count,
    refusedShards: refusedShards.optional(),
    /** Not known under secure aggregation. */
    clippedShare: share.optional(),
    saturatedShare: share.optional(),
    /** Of the server's step. */
    deltaNormL2: z.number(),
    /** In a run that adapts its clip norm: the noised share of updates within it, and what the norm is from now on. */
    clipping: z.strictObject({ withinShare: share, nextClipNormL2: z.number().positive() }).optional(),
    seconds: z.strictObject({ training: z.number(), transfer: z.number(), aggregation: z.number() }),
    bytesDown: z.record(z.string(), count),
    /** Only where the spec has a gate. */
    gate: gateComparison.optional(),
  }),
  'round.aborted': z.strictObject({
    reason,
    retryAt: timestamp,
    bytesDown: z.record(z.string(), count),
    /** Where the gate refused its adapter. */
    gate: gateComparison.extend({ adapter: blob }).optional(),
  }),
} as const;

export type EventKind = keyof typeof eventSchemas;
export type EventData<K extends EventKind> = z.infer<(typeof eventSchemas)[K]>;
export type BlobInfo = z.infer<typeof blob>;
export type Reason = z.infer<typeof reason>;

interface Subject {
  readonly runId?: RunId;
  readonly round?: number;
  readonly nodeId?: NodeId;
}

/** A row before it is stored. `at` is the store's clock unless it is given. */
export type NewEvent<K extends EventKind = EventKind> = {
  [Kind in K]: Subject & { readonly kind: Kind; readonly at?: number; readonly data: EventData<Kind> };
}[K];

/** A row of the table. */
export type StoredEvent<K extends EventKind = EventKind> = {
  [Kind in K]: Subject & {
    readonly seq: number;
    readonly at: number;
    readonly kind: Kind;
    readonly data: EventData<Kind>;
  };
}[K];

export const isEventKind = (kind: string): kind is EventKind => Object.hasOwn(eventSchemas, kind);
