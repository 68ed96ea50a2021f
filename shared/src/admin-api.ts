import { z } from 'zod';
import { roundPhases } from './round-phase.ts';
import { runSpecSchema } from './run-spec.ts';

/**
 * The admin API, served on loopback under /api. Both the page and the command line speak it; the page with a session
 * cookie, commands with `Authorization: Bearer` and the token file of the coordinator's home.
 *
 * POST /api/login {password}            → 204, sets the cookie        POST /api/logout            → 204
 * GET  /api/federation                  → FederationView              GET  /api/nodes             → NodeView[]
 * POST /api/nodes/:id/approve|revoke    → NodeView                    POST /api/invites           → InviteView
 * GET  /api/runs                        → RunView[]                   POST /api/runs RunSpecInput → RunView (created)
 * GET  /api/runs/:id                    → RunDetailView               POST /api/runs/:id/start|pause|resume|stop → RunView
 * GET  /api/runs/:id/adapter            → ExportView: the files of the PEFT layout and model.sig
 * POST /api/runs/:id/rollback RollbackRequest → RunView
 * POST /api/gate-data application/octet-stream, at most maxGateDataBytes → GateDataView; only for commands
 * GET  /api/log                         → LogView; the log itself is under /log/, for everyone
 * GET  /api/events                      → Server-Sent Events: id = seq, event = kind, data = EventView; Last-Event-ID resumes
 * GET  /api/live                        → Server-Sent Events of LiveProgress, not stored
 * An error is ErrorView with the catalogue's HTTP status.
 */
export const runStates = ['created', 'running', 'paused', 'finished', 'stopped', 'aborted'] as const;
export const nodeStates = ['pending', 'approved', 'revoked'] as const;
/** What a node does in a round. */
export const nodeStages = [
  'offered',
  'downloading',
  'evaluating',
  'training',
  'ready',
  'uploading',
  'accepted',
  'declined',
  'left',
] as const;

const timestamp = z.number().int().describe('milliseconds since 1970');

export const errorViewSchema = z.object({
  code: z.string(),
  message: z.string(),
  todo: z.string(),
  retry: z.boolean(),
});

export const federationViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  coordinatorKey: z.string().describe('hex'),
  certificateSha256: z.string(),
  grpcAddress: z.string(),
  version: z.string(),
  /** One plain sentence on who can read a node's delta. */
  privacyNotice: z.string(),
  /** One on whom secure aggregation protects against, as organisations vouch for the approved nodes now. */
  protection: z.string(),
});

/** Where a node stands in a round: what it was in the cohort, and what became of its update. */
export const memberships = [
  /** Not in the cohort, or not yet. */
  'none',
  'member',
  /** A member whose update is in no sum. */
  'dropped',
  'summed',
  /** Its shard's sum was left out. */
  'refused',
] as const;

export const nodeViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** As the node's operator typed it. */
  organisation: z.string(),
  /** Fingerprint of the organisation that signed for the node's key. */
  vouchedBy: z.string().nullable(),
  /** That organisation's own key, in hex. */
  organisationKey: z.string().nullable(),
  /** When an organisation's word for this node ends, or has ended; null of none, or of one without end. */
  vouchedUntil: timestamp.nullable(),
  state: z.enum(nodeStates),
  connected: z.boolean(),
  enrolledAt: timestamp,
  lastSeenAt: timestamp.nullable(),
  agentVersion: z.string().nullable(),
});

export const inviteRequestSchema = z.strictObject({
  autoApprove: z.boolean().default(false),
  expiresInHours: z
    .number()
    .positive()
    .max(24 * 365)
    .default(24),
  /** HOST:PORT that the invite carries; by default what the coordinator advertises. */
  advertise: z.string().optional(),
});
export const inviteViewSchema = z.object({ invite: z.string(), expiresAt: timestamp, autoApprove: z.boolean() });

export const runViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(runStates),
  phase: z.enum(roundPhases),
  /** The newest try, from 0; a round that was aborted is tried again under the next number. */
  round: z.number().int(),
  /** Of `rounds`, how many made a new adapter. */
  roundsCommitted: z.number().int(),
  rounds: z.number().int(),
  /** Whether the coordinator learns the sum of the deltas alone, or can read each. */
  mode: z.enum(['secure', 'plain']),
  specSha256: z.string(),
  adapterSha256: z.string().nullable(),
  createdAt: timestamp,
  endedAt: timestamp.nullable(),
  reason: z.string().nullable(),
});

export const roundNodeViewSchema = z.object({
  nodeId: z.string(),
  stage: z.enum(nodeStages),
  membership: z.enum(memberships),
  bytesUp: z.number().int(),
  bytesDown: z.number().int(),
  trainingMs: z.number().nullable(),
  /** Held-out loss of the adapter that it received, nats a token. */
  heldOutLoss: z.number().nullable(),
  /** Fingerprint of the organisation that signed for its key; null before it is ready, too. */
  vouchedBy: z.string().nullable(),
  reason: z.string().nullable(),
});

/** What the members of a secure round compute from how many they are and from the spec. */
export const secureSizesViewSchema = z.object({
  /** That sent keys. */
  members: z.number().int(),
  /** That may collude with the coordinator and still learn no single delta. */
  colluders: z.number().int(),
  /** That may drop with the round still ending in a sum. */
  dropouts: z.number().int(),
  /** That must sign the list of those who are summed. */
  cutThreshold: z.number().int(),
  shards: z.array(
    z.object({
      members: z.number().int(),
      colluders: z.number().int(),
      /** Members that open what takes the masks off its sum. */
      threshold: z.number().int(),
    }),
  ),
});

export const roundViewSchema = z.object({
  round: z.number().int(),
  phase: z.enum(roundPhases),
  factor: z.enum(['A', 'B', 'both']),
  startedAt: timestamp,
  endedAt: timestamp.nullable(),
  adapterBefore: z.string(),
  adapterAfter: z.string().nullable(),
  /** Committed, and the run was rolled back: its adapter is not what the run's adapter was made from. */
  withdrawn: z.boolean(),
  /**
   * The coordinator has its sum, committed or not: in mode secure from the first member's opening on, in mode plain from the
   * first update.
   */
  released: z.boolean(),
  /** Token-weighted mean over nodes of the loss of adapterBefore on what they hold back. */
  heldOutLoss: z.number().nullable(),
  heldOutTokens: z.number().int(),
  contributors: z.number().int(),
  /** Different ones that signed for members of its cohort, once committed for its contributors; 0 before, or of none. */
  organisations: z.number().int(),
  /** Null in mode plain, and before the members have sent keys. */
  secure: secureSizesViewSchema.nullable(),
  /** Sums of shards that no honest members could have made; what was committed is without them. */
  refusedShards: z.array(z.object({ nodeIds: z.array(z.string()), because: z.string() })),
  /** Of the accepted updates; of all their values. */
  clippedShare: z.number().nullable(),
  saturatedShare: z.number().nullable(),
  deltaNormL2: z.number().nullable(),
  /** What updates of this round were clipped to. */
  clipNormL2: z.number(),
  /** In a run that adapts it: the noised share of updates within it. */
  withinShare: z.number().nullable(),
  /** What the evaluation gate said, in nats a token of its file; null without a gate, or before its verdict. */
  gate: z
    .object({
      lossBefore: z.number().nullable(),
      lossAfter: z.number().nullable(),
      tokens: z.number().int(),
      passed: z.boolean(),
    })
    .nullable(),
  /** Why it was aborted. */
  reason: z.string().nullable(),
  seconds: z.object({ training: z.number(), transfer: z.number(), aggregation: z.number() }),
  nodes: z.array(roundNodeViewSchema),
});

/** An adapter that the run made, oldest first. One that was rolled back stays in the list. */
export const versionViewSchema = z.object({
  adapterSha256: z.string(),
  /** Of the round that made it; null for the first one. */
  round: z.number().int().nullable(),
  /** Rounds that it has behind it. */
  roundsCommitted: z.number().int(),
  at: timestamp,
  /** Nats a token of the gate's file. */
  gateLoss: z.number().nullable(),
  current: z.boolean(),
});

export const rollbackRequestSchema = z.strictObject({
  to: z.string().describe('SHA-256 of the adapter'),
  reason: z.string().min(1).max(500).optional(),
});

export const runDetailViewSchema = runViewSchema.extend({
  spec: runSpecSchema,
  versions: z.array(versionViewSchema),
  roundsDone: z.array(roundViewSchema),
  /** Loss of the run's adapter, once nodes have scored it after the last round. */
  finalHeldOutLoss: z.number().nullable(),
  /** How far one node can move the aggregate of a round, in clip norms; null where no bound is known. */
  boost: z.object({ clipNorms: z.number().nullable(), nodes: z.number().int(), because: z.string() }),
  /** What the rounds whose sums were released cost a node that was in all of them; null in a run without noise. */
  privacy: z
    .object({
      epsilonSpent: z.number(),
      delta: z.number(),
      epsilonPlanned: z.number(),
      verdict: z.string(),
      /** ε of all that had left the nodes by the end of each round whose sum was released. */
      byRound: z.array(z.object({ round: z.number().int(), epsilonSpent: z.number() })),
    })
    .nullable(),
});

export const gateDataViewSchema = z.object({ sha256: z.string(), sizeBytes: z.number().int() });

export const exportViewSchema = z.object({
  runId: z.string(),
  adapterSha256: z.string().describe('of adapter_model.safetensors'),
  files: z.array(z.object({ name: z.string(), base64: z.string() })),
});

/** The transparency log as it lies on the disk, and who has cosigned it. */
export const logViewSchema = z.object({
  /** C2SP's name of the log, and the key with which its checkpoints are verified. */
  origin: z.string(),
  verifierKey: z.string(),
  /** Of the newest checkpoint. */
  size: z.number().int(),
  root: z.string().describe('hex'),
  checkpoint: z.string().describe('the signed note, with the cosignatures that it has by now'),
  /** The checkpoint that most organisations cosigned; null before a witness has signed one. */
  cosigned: z
    .object({
      size: z.number().int(),
      /** Fingerprints; a witness counts where its node is approved, and the organisation signed for that node. */
      organisations: z.array(z.string()),
    })
    .nullable(),
  /** Nodes that cosign, as `witnesses` beside the log lists them. */
  witnesses: z.array(
    z.object({
      nodeId: z.string(),
      vouchedBy: z.string().nullable(),
      /** Of the newest of the two checkpoints that has its signature; null: of neither. */
      cosignedSize: z.number().int().nullable(),
    }),
  ),
});

export const eventViewSchema = z.object({
  seq: z.number().int(),
  at: timestamp,
  kind: z.string(),
  runId: z.string().nullable(),
  round: z.number().int().nullable(),
  nodeId: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
});

/** Passing news of a node's work: shown, never stored. */
export const liveProgressSchema = z.object({
  runId: z.string(),
  round: z.number().int(),
  nodeId: z.string(),
  stage: z.enum(nodeStages),
  done: z.number(),
  total: z.number(),
  tokensPerSecond: z.number(),
});

export type ErrorView = z.infer<typeof errorViewSchema>;
export type FederationView = z.infer<typeof federationViewSchema>;
export type NodeView = z.infer<typeof nodeViewSchema>;
export type InviteRequest = z.input<typeof inviteRequestSchema>;
export type InviteView = z.infer<typeof inviteViewSchema>;
export type RunView = z.infer<typeof runViewSchema>;
export type RoundView = z.infer<typeof roundViewSchema>;
export type RoundNodeView = z.infer<typeof roundNodeViewSchema>;
export type RunDetailView = z.infer<typeof runDetailViewSchema>;
export type GateDataView = z.infer<typeof gateDataViewSchema>;
export type VersionView = z.infer<typeof versionViewSchema>;
export type RollbackRequest = z.infer<typeof rollbackRequestSchema>;
export type ExportView = z.infer<typeof exportViewSchema>;
export type LogView = z.infer<typeof logViewSchema>;
export type EventView = z.infer<typeof eventViewSchema>;
export type LiveProgress = z.infer<typeof liveProgressSchema>;
