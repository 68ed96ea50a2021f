import type { NodeView, RoundNodeView } from '@weft/shared';
import { expect, test } from 'vitest';
import { cohortShares, membersOf, organisationsOf } from './organisations.ts';

const node = (id: string, vouchedBy: string | null, more: Partial<NodeView> = {}): NodeView => ({
  id,
  name: id,
  organisation: '',
  vouchedBy,
  organisationKey: vouchedBy && `key of ${vouchedBy}`,
  vouchedUntil: null,
  state: 'approved',
  connected: false,
  enrolledAt: 0,
  lastSeenAt: null,
  agentVersion: null,
  ...more,
});
const member = (vouchedBy: string | null, membership: RoundNodeView['membership']): RoundNodeView => ({
  nodeId: '',
  stage: 'accepted',
  membership,
  bytesUp: 0,
  bytesDown: 0,
  trainingMs: null,
  heldOutLoss: null,
  vouchedBy,
  reason: null,
});

test('an organisation is the key that signed, whatever name its operators typed; revoked nodes count for none', () => {
  const listed = organisationsOf([
    node('n1', null, { organisation: 'Library' }),
    node('n2', 'aa', { organisation: 'Library' }),
    node('n3', 'bb', { organisation: 'Archive', connected: true }),
    node('n4', 'bb', { organisation: 'The archive', state: 'pending' }),
    node('n5', 'bb'),
    node('n6', 'cc', { state: 'revoked' }),
  ]);
  expect(listed).toEqual([
    { key: 'key of bb', fingerprint: 'bb', names: ['Archive', 'The archive'], approved: 2, connected: 1, pending: 1 },
    { key: 'key of aa', fingerprint: 'aa', names: ['Library'], approved: 1, connected: 0, pending: 0 },
    { key: null, fingerprint: null, names: ['Library'], approved: 1, connected: 0, pending: 0 },
  ]);
});

test('a cohort is shared among the organisations of its members, and of nobody else', () => {
  const nodes = [
    member(null, 'summed'),
    member('aa', 'dropped'),
    member('bb', 'summed'),
    member('bb', 'refused'),
    member('cc', 'none'),
  ];
  expect(cohortShares({ nodes })).toEqual([
    { fingerprint: 'bb', members: 2, summed: 1, share: 0.5 },
    { fingerprint: 'aa', members: 1, summed: 0, share: 0.25 },
    { fingerprint: null, members: 1, summed: 1, share: 0.25 },
  ]);
  expect(membersOf({ nodes })).toEqual({ cohort: 4, dropped: 1, summed: 2, refused: 1 });
});
