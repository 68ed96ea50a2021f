import { privacyNotice, type FederationView, type NodeView } from '@weft/shared';
import type { RegisteredModel } from '../models/models.ts';
import type { RegisteredNode } from '../registry/registry-state.ts';
import type { Presence } from '../sessions/sessions.ts';

export const toNodeView = (
  { id, name, organisation, state, enrolledAt }: RegisteredNode,
  presence: Presence | undefined,
): NodeView => ({
  id,
  name,
  organisation,
  state,
  enrolledAt,
  connected: presence?.connected ?? false,
  lastSeenAt: presence?.lastSeenAt ?? null,
  agentVersion: presence?.agentVersion ?? null,
});

export const toFederationView = (federation: Omit<FederationView, 'privacyNotice'>): FederationView => ({
  ...federation,
  privacyNotice: privacyNotice,
});

/** Without the path: where files lie on this machine is nobody's business elsewhere. */
export const toModelView = ({ name, sha256, files }: RegisteredModel) => ({
  name,
  sha256,
  files: files.map((file) => ({ name: file.name, sizeBytes: file.sizeBytes, sha256: file.sha256 })),
});
