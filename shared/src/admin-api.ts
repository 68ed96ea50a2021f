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

export const nodeViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** As the node's operator typed it. */
  organisation: z.string(),
  /** Fingerprint of the organisation that signed for the node's key. */
  vouchedBy: z.string().nullable(),
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
  specSha256: z.string(),
  adapterSha256: z.string().nullable(),
  createdAt: timestamp,
  endedAt: timestamp.nullable(),
  reason: z.string().nullable(),
});

export const roundNodeViewSchema = z.object({
  nodeId: z.string(),
  stage: z.enum(nodeStages),
  bytesUp: z.number().int(),
  bytesDown: z.number().int(),
  trainingMs: z.number().nullable(),
  /** Held-out loss of the adapter that it received, nats a token. */
  heldOutLoss: z.number().nullable(),
  /** Fingerprint of the organisation that signed for its key; null before it is ready, too. */
  vouchedBy: z.string().nullable(),
  reason: z.string().nullable(),
});

export const roundViewSchema = z.object({
  round: z.number().int(),
  phase: z.enum(roundPhases),
  factor: z.enum(['A', 'B', 'both']),
  startedAt: timestamp,
  endedAt: timestamp.nullable(),
  adapterBefore: z.string(),
  adapterAfter: z.string().nullable(),
  /** Token-weighted mean over nodes of the loss of adapterBefore on what they hold back. */
  heldOutLoss: z.number().nullable(),
  heldOutTokens: z.number().int(),
  contributors: z.number().int(),
  /** Different ones that signed for members of its cohort, once committed for its contributors; 0 before, or of none. */
  organisations: z.number().int(),
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
  /** Loss of the last adapter, when the run has ended. */
  finalHeldOutLoss: z.number().nullable(),
  /** How far one node can move the aggregate of a round, in clip norms; null where no bound is known. */
  boost: z.object({ clipNorms: z.number().nullable(), nodes: z.number().int(), because: z.string() }),
  /** What the committed rounds cost a node that was in all of them; null in a run without noise. */
  privacy: z
    .object({ epsilonSpent: z.number(), delta: z.number(), epsilonPlanned: z.number(), verdict: z.string() })
    .nullable(),
});

export const gateDataViewSchema = z.object({ sha256: z.string(), sizeBytes: z.number().int() });

export const exportViewSchema = z.object({
  runId: z.string(),
  adapterSha256: z.string().describe('of adapter_model.safetensors'),
  files: z.array(z.object({ name: z.string(), base64: z.string() })),
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
export type EventView = z.infer<typeof eventViewSchema>;
export type LiveProgress = z.infer<typeof liveProgressSchema>;
