import {
  endOfWord,
  organisationFingerprint,
  organisationIn,
  privacyNotice,
  protectionOf,
  type FederationView,
  type NodeView,
} from '@weft/shared';
import type { RegisteredModel } from '../models/models.ts';
import type { RegisteredNode } from '../registry/registry-state.ts';
import type { Presence } from '../sessions/sessions.ts';

export const toNodeView = (
  { id, name, organisation, endorsement, state, enrolledAt }: RegisteredNode,
  presence: Presence | undefined,
): NodeView => ({
  id,
  name,
  organisation,
  ...vouchingFor(endorsement),
  state,
  enrolledAt,
  connected: presence?.connected ?? false,
  lastSeenAt: presence?.lastSeenAt ?? null,
  agentVersion: presence?.agentVersion ?? null,
});

/** The registry takes no endorsement whose signature does not hold. */
function vouchingFor(endorsement: Uint8Array): Pick<NodeView, 'vouchedBy' | 'organisationKey' | 'vouchedUntil'> {
  const key = organisationIn(endorsement);
  const until = endOfWord(endorsement);
  return {
    vouchedBy: key === undefined ? null : organisationFingerprint(Buffer.from(key, 'hex')),
    organisationKey: key ?? null,
    vouchedUntil: until === undefined ? null : until * 1000,
  };
}

/** Organisations that signed for nodes which may take part. */
export const vouchingOrganisations = (nodes: readonly RegisteredNode[]): number =>
  new Set(nodes.flatMap(({ state, endorsement }) => (state === 'approved' && organisationIn(endorsement)) || [])).size;

export const toFederationView = (
  federation: Omit<FederationView, 'privacyNotice' | 'protection'>,
  nodes: readonly RegisteredNode[],
): FederationView => ({
  ...federation,
  privacyNotice: privacyNotice,
  protection: protectionOf(vouchingOrganisations(nodes)),
});

/** Without the path: where files lie on this machine is nobody's business elsewhere. */
export const toModelView = ({ name, sha256, files }: RegisteredModel) => ({
  name,
  sha256,
  files: files.map((file) => ({ name: file.name, sizeBytes: file.sizeBytes, sha256: file.sha256 })),
});
