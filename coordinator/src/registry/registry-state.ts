import type { NodeId, NodeView, Sha256 } from '@weft/shared';
import type { StoredEvent } from '../store/events.ts';

export interface RegisteredNode {
  readonly id: NodeId;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  /** Chosen by the node's operator. */
  readonly name: string;
  readonly organisation: string;
  /** An organisation's word for the key; empty without one. */
  readonly endorsement: Uint8Array;
  readonly state: NodeView['state'];
  readonly enrolledAt: number;
}

export interface Invite {
  readonly tokenSha256: Sha256;
  readonly expiresAt: number;
  readonly autoApprove: boolean;
  /** The one key that it let in. */
  readonly usedBy?: NodeId;
}

export interface RegistryState {
  readonly nodes: Map<NodeId, RegisteredNode>;
  readonly invites: Map<Sha256, Invite>;
}

/** The rows that make up the registry. */
export const registryKinds = [
  'invite.created',
  'invite.used',
  'node.enrolled',
  'node.approved',
  'node.revoked',
] as const;

export const createRegistryState = (): RegistryState => ({ nodes: new Map(), invites: new Map() });

/** Takes one row in; rows of other kinds change nothing. */
export function foldRegistry({ nodes, invites }: RegistryState, event: StoredEvent): void {
  const { nodeId } = event;
  switch (event.kind) {
    case 'invite.created':
      invites.set(event.data.tokenSha256, event.data);
      return;
    case 'invite.used': {
      const invite = invites.get(event.data.tokenSha256);
      if (invite !== undefined && nodeId !== undefined) invites.set(invite.tokenSha256, { ...invite, usedBy: nodeId });
      return;
    }
    case 'node.enrolled': {
      if (nodeId === undefined) return;
      const before = nodes.get(nodeId);
      nodes.set(nodeId, {
        id: nodeId,
        publicKey: Buffer.from(event.data.publicKey, 'hex'),
        name: event.data.name,
        organisation: event.data.organisation,
        endorsement: Buffer.from(event.data.endorsement ?? '', 'hex'),
        state: before?.state ?? 'pending',
        enrolledAt: before?.enrolledAt ?? event.at,
      });
      return;
    }
    case 'node.approved':
    case 'node.revoked': {
      const node = nodeId === undefined ? undefined : nodes.get(nodeId);
      // Revoked stays revoked, whatever row follows.
      if (node === undefined || node.state === 'revoked') return;
      nodes.set(node.id, { ...node, state: event.kind === 'node.approved' ? 'approved' : 'revoked' });
      return;
    }
    default:
  }
}
