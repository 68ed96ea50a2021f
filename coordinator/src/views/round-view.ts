import {
  lossOf,
  secagg,
  secureSizes,
  type GateComparison,
  type RoundNodeView,
  type RoundPhase,
  type RoundView,
  type RunSpec,
} from '@weft/shared';
import type { EventData, StoredEvent } from '../store/events.ts';

/** The parts of one round's view, as its rows change them. */

export const createRound = ({ round, at, data }: StoredEvent<'round.started'>, clipNormL2: number): RoundView => ({
  round: round!,
  phase: 'training',
  factor: data.factor,
  startedAt: at,
  endedAt: null,
  adapterBefore: data.adapter.sha256,
  adapterAfter: null,
  withdrawn: false,
  released: false,
  heldOutLoss: null,
  heldOutTokens: 0,
  contributors: 0,
  organisations: 0,
  secure: null,
  refusedShards: [],
  clippedShare: null,
  saturatedShare: null,
  deltaNormL2: null,
  clipNormL2,
  withinShare: null,
  gate: null,
  reason: null,
  seconds: { training: 0, transfer: 0, aggregation: 0 },
  nodes: [],
});

export const toGateView = (gate: GateComparison | undefined, passed: boolean): RoundView['gate'] =>
  gate === undefined
    ? null
    : { lossBefore: lossOf(gate.before), lossAfter: lossOf(gate.after), tokens: gate.after.tokens, passed };

export const createRoundNode = (nodeId: string): RoundNodeView => ({
  nodeId,
  stage: 'offered',
  membership: 'none',
  bytesUp: 0,
  bytesDown: 0,
  trainingMs: null,
  heldOutLoss: null,
  vouchedBy: null,
  reason: null,
});

export const leftBecause = ({ cause, silentMs }: EventData<'node.left'>, { cohort }: RunSpec): string => {
  switch (cause) {
    case 'lease':
      return `silent for ${silentMs} ms`;
    case 'revoked':
      return cause;
    case 'perOrganisation':
      return `its organisation has ${cohort.perOrganisation} ${cohort.perOrganisation === 1 ? 'member' : 'members'} in the cohort, as many as cohort.perOrganisation allows`;
  }
};

export const organisationsOf = ({ nodes }: RoundView, members: readonly string[]): number =>
  new Set(nodes.flatMap(({ nodeId, vouchedBy }) => (members.includes(nodeId) ? (vouchedBy ?? []) : []))).size;

export function setMembership(
  { nodes }: RoundView,
  nodeIds: readonly string[],
  membership: RoundNodeView['membership'],
): void {
  const named = new Set(nodeIds);
  for (const node of nodes) if (named.has(node.nodeId)) node.membership = membership;
}

export const dropped = ({ membership }: RoundNodeView): Partial<RoundNodeView> =>
  membership === 'member' ? { membership: 'dropped' } : {};

/** From here on a secure round has its roster: the members of the cohort that sent keys. */
export const rosterIsFixed: ReadonlySet<RoundPhase> = new Set(['shares', 'collecting', 'unmasking', 'committing']);

export function fixRoster(round: RoundView, sentKeys: ReadonlySet<string>, { aggregation }: RunSpec): void {
  const { mode, secure } = aggregation;
  if (mode !== 'secure' || round.secure !== null) return;
  for (const node of round.nodes) if (!sentKeys.has(node.nodeId)) Object.assign(node, dropped(node));
  const sizes = secagg.cohortSizes(sentKeys.size, secureSizes(secure));
  if (!('refusal' in sizes)) round.secure = { ...sizes, shards: [...sizes.shards] };
}

export function commitRound(round: RoundView, { at, data }: StoredEvent<'round.committed'>): void {
  Object.assign(round, {
    phase: 'finished',
    endedAt: at,
    adapterAfter: data.adapter.sha256,
    contributors: data.nodeIds.length,
    organisations: organisationsOf(round, data.nodeIds),
    refusedShards: data.refusedShards ?? [],
    clippedShare: data.clippedShare ?? null,
    saturatedShare: data.saturatedShare ?? null,
    deltaNormL2: data.deltaNormL2,
    withinShare: data.clipping?.withinShare ?? null,
    gate: toGateView(data.gate, true),
    seconds: { ...data.seconds },
  });
  for (const node of round.nodes) Object.assign(node, dropped(node));
  setMembership(round, data.nodeIds, 'summed');
  for (const { nodeIds } of data.refusedShards ?? []) setMembership(round, nodeIds, 'refused');
  setBytesDown(round, data.bytesDown);
}

export function setBytesDown(round: RoundView, bytesDown: Readonly<Record<string, number>>): void {
  for (const node of round.nodes) node.bytesDown = bytesDown[node.nodeId] ?? 0;
}
