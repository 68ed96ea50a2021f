import { timingSafeEqual } from 'node:crypto';
import { WeftError, sha256, toNodeId, type NodeId, type NodeView, type Sha256 } from '@weft/shared';
import type { Store } from '../store/store.ts';
import {
  createRegistryState,
  foldRegistry,
  registryKinds,
  type Invite,
  type RegisteredNode,
} from './registry-state.ts';

/** Who may take part: folded from the event table, changed only by new rows of it. */
export interface Registry {
  node(id: NodeId): RegisteredNode | undefined;
  publicKey(id: NodeId): Uint8Array | undefined;
  /** An organisation's word for this node; empty without one. */
  endorsement(id: NodeId): Uint8Array;
  approved(id: NodeId): boolean;
  /** In the order of enrolment. */
  list(): readonly RegisteredNode[];
  /** Only the token's hash is kept. */
  createInvite(invite: { token: Uint8Array; expiresAt: number; autoApprove: boolean }): void;
  /**
   * Lets a key in, once for each invite; the same key may say it again, with another name or its organisation's word.
   * @throws WEFT_INVITE_UNKNOWN, WEFT_INVITE_USED, WEFT_INVITE_EXPIRED, WEFT_NODE_REVOKED
   */
  enrol(request: EnrolmentRequest): RegisteredNode;
  /** @throws WEFT_NODE_UNKNOWN, WEFT_NODE_REVOKED */
  approve(id: NodeId): RegisteredNode;
  /** For good: the key never comes in again. @throws WEFT_NODE_UNKNOWN */
  revoke(id: NodeId): RegisteredNode;
}

export interface EnrolmentRequest {
  readonly token: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly name: string;
  readonly organisation: string;
  /** An organisation's word for this key, already checked; empty without one. */
  readonly endorsement?: Uint8Array;
}

export type NodeState = NodeView['state'];

export function createRegistry({ store, now = Date.now }: { store: Store; now?: () => number }): Registry {
  const state = createRegistryState();
  // Subscribed for as long as the store is open: a row is folded as soon as it is durable.
  store.subscribe((event) => foldRegistry(state, event));
  for (const event of store.read({ kinds: registryKinds })) foldRegistry(state, event);

  const known = (id: NodeId): RegisteredNode => {
    const node = state.nodes.get(id);
    if (node === undefined) throw new WeftError('WEFT_NODE_UNKNOWN', `no node ${id} has enrolled here`);
    return node;
  };

  return {
    node: (id) => state.nodes.get(id),
    publicKey: (id) => state.nodes.get(id)?.publicKey,
    endorsement: (id) => state.nodes.get(id)?.endorsement ?? new Uint8Array(),
    approved: (id) => state.nodes.get(id)?.state === 'approved',
    list: () => [...state.nodes.values()],
    createInvite({ token, expiresAt, autoApprove }) {
      store.append({ kind: 'invite.created', data: { tokenSha256: sha256(token), expiresAt, autoApprove } });
    },
    enrol({ token, publicKey, name, organisation, endorsement = new Uint8Array() }) {
      const id = toNodeId(publicKey);
      const invite = findInvite(state.invites, token);
      const node = state.nodes.get(id);
      if (node?.state === 'revoked') throw new WeftError('WEFT_NODE_REVOKED', `node ${id} was revoked`, { nodeId: id });
      const isKnown = invite.usedBy === id && node !== undefined;
      // An organisation's word that came once is not lost by a call without one.
      const word = endorsement.length > 0 || node === undefined ? endorsement : node.endorsement;
      const changes =
        node?.name !== name || node.organisation !== organisation || !Buffer.from(word).equals(node.endorsement);
      // The answer to an earlier call was lost: say it again, however late.
      if (isKnown && !changes) return node;
      if (!isKnown && invite.usedBy !== undefined)
        throw new WeftError('WEFT_INVITE_USED', 'another node has used this invite');
      if (now() >= invite.expiresAt) {
        throw new WeftError('WEFT_INVITE_EXPIRED', `the invite ended at ${new Date(invite.expiresAt).toISOString()}`);
      }
      store.append([
        {
          kind: 'node.enrolled',
          nodeId: id,
          data: {
            publicKey: Buffer.from(publicKey).toString('hex'),
            name,
            organisation,
            ...(word.length > 0 && { endorsement: Buffer.from(word).toString('hex') }),
          },
        },
        ...(isKnown ? [] : [{ kind: 'invite.used' as const, nodeId: id, data: { tokenSha256: invite.tokenSha256 } }]),
        ...(invite.autoApprove && node?.state !== 'approved'
          ? [{ kind: 'node.approved' as const, nodeId: id, data: { by: 'invite' as const } }]
          : []),
      ]);
      return known(id);
    },
    approve(id) {
      const node = known(id);
      if (node.state === 'revoked')
        throw new WeftError('WEFT_NODE_REVOKED', `node ${id} was revoked, and that is for good`, { nodeId: id });
      if (node.state === 'pending') store.append({ kind: 'node.approved', nodeId: id, data: { by: 'admin' } });
      return known(id);
    },
    revoke(id) {
      if (known(id).state !== 'revoked') store.append({ kind: 'node.revoked', nodeId: id, data: {} });
      return known(id);
    },
  };
}

/** The token itself is compared nowhere: its hash is looked up, and a hash tells nothing of its neighbours. */
function findInvite(invites: ReadonlyMap<Sha256, Invite>, token: Uint8Array): Invite {
  const tokenSha256 = sha256(token);
  const invite = invites.get(tokenSha256);
  if (invite === undefined || !timingSafeEqual(Buffer.from(invite.tokenSha256), Buffer.from(tokenSha256))) {
    throw new WeftError('WEFT_INVITE_UNKNOWN', 'this coordinator did not make this invite');
  }
  return invite;
}
