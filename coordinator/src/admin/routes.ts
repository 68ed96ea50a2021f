import { randomBytes } from 'node:crypto';
import {
  WeftError,
  formatInvite,
  inviteRequestSchema,
  inviteTokenBytes,
  isNodeId,
  maxGateDataBytes,
  protocolVersion,
  rollbackRequestSchema,
  type FederationView,
  type InviteView,
  type NodeId,
  type NodeView,
} from '@weft/shared';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { addressSchema } from '../config/address.ts';
import type { TransparencyLog } from '../log/transparency-log.ts';
import type { Models } from '../models/models.ts';
import type { Registry } from '../registry/registry.ts';
import type { Runs } from '../runs/runs.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { toModelView, toNodeView } from './admin-views.ts';
import { readLogView } from './log-view.ts';

export interface AdminContext {
  readonly federation: () => FederationView;
  readonly coordinatorKey: Uint8Array;
  readonly certificateDer: () => Uint8Array;
  readonly registry: Registry;
  readonly sessions: Pick<Sessions, 'presence'>;
  readonly runs: Pick<
    Runs,
    'create' | 'takeGateData' | 'start' | 'pause' | 'rollBack' | 'resume' | 'stop' | 'list' | 'show' | 'export'
  >;
  readonly models: Pick<Models, 'register' | 'list'>;
  readonly transparencyLog: Pick<TransparencyLog, 'read'>;
  readonly now: () => number;
}

const idParameter = z.object({ id: z.string().max(100) });
const modelRequest = z.strictObject({ path: z.string().min(1).max(4096) });
const hourMs = 3600 * 1000;

/** The admin API behind its login; shared/src/admin-api.ts is its contract. */
export function addRoutes(app: FastifyInstance, context: AdminContext): void {
  const { registry, sessions, runs, models, transparencyLog } = context;
  const idOf = (params: unknown): string => parse(idParameter, params).id;
  const nodeView = (id: NodeId): NodeView => {
    const node = registry.node(id);
    if (node === undefined) throw new WeftError('WEFT_NODE_UNKNOWN', `no node ${id} has enrolled here`);
    return toNodeView(node, sessions.presence(id));
  };
  const nodeId = (params: unknown): NodeId => {
    const id = idOf(params);
    if (!isNodeId(id)) throw new WeftError('WEFT_NODE_UNKNOWN', `${JSON.stringify(id)} is not the id of a node`);
    return id;
  };

  app.get('/api/federation', () => context.federation());
  app.get('/api/nodes', () => registry.list().map((node) => toNodeView(node, sessions.presence(node.id))));
  app.post('/api/nodes/:id/approve', ({ params }) => nodeView(registry.approve(nodeId(params)).id));
  app.post('/api/nodes/:id/revoke', ({ params }) => nodeView(registry.revoke(nodeId(params)).id));

  app.post('/api/invites', ({ body }): InviteView => {
    const { autoApprove, expiresInHours, advertise } = parse(inviteRequestSchema, body ?? {});
    const token = randomBytes(inviteTokenBytes);
    const expiresAt = Math.round(context.now() + expiresInHours * hourMs);
    const { grpcAddress, name } = context.federation();
    const invite = formatInvite({
      protocolVersion,
      address: advertise === undefined ? grpcAddress : parse(addressSchema, advertise, 'advertise'),
      certificateDer: context.certificateDer(),
      coordinatorKey: context.coordinatorKey,
      token,
      federationName: name,
    });
    registry.createInvite({ token, expiresAt, autoApprove });
    return { invite, expiresAt, autoApprove };
  });

  app.get('/api/models', () => models.list().map(toModelView));
  // A path of this machine: for those who have its token, not for a page.
  app.post('/api/models', { config: { commandsOnly: true } }, async ({ body }) =>
    toModelView(await models.register(parse(modelRequest, body).path)),
  );

  app.post('/api/gate-data', { bodyLimit: maxGateDataBytes, config: { commandsOnly: true } }, ({ body }) => {
    if (!Buffer.isBuffer(body))
      throw new WeftError('WEFT_USAGE', 'the bytes of a file come as application/octet-stream');
    return runs.takeGateData(body);
  });
  app.get('/api/log', () => readLogView(transparencyLog, registry));
  app.get('/api/runs', () => runs.list());
  app.post('/api/runs', ({ body }) => runs.create(body));
  app.get('/api/runs/:id', ({ params }) => runs.show(idOf(params)));
  app.get('/api/runs/:id/adapter', ({ params }) => runs.export(idOf(params)));
  app.post('/api/runs/:id/rollback', ({ params, body }) =>
    runs.rollBack(idOf(params), parse(rollbackRequestSchema, body)),
  );
  for (const order of ['start', 'pause', 'resume', 'stop'] as const) {
    app.post(`/api/runs/:id/${order}`, ({ params }) => runs[order](idOf(params)));
  }
}

/** @throws WEFT_USAGE that lists every problem */
export function parse<S extends z.ZodType>(schema: S, value: unknown, name = 'request'): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || name}: ${message}`);
  throw new WeftError('WEFT_USAGE', problems.join('; '));
}
