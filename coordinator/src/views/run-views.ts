import {
  WeftError,
  lossOf,
  organisationFingerprint,
  secagg,
  type GateScore,
  type NodeId,
  type RoundPhase,
  type RoundView,
  type RunDetailView,
  type RunId,
  type RunView,
  type VersionView,
} from '@weft/shared';
import type { EventData, StoredEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import {
  commitRound,
  createRound,
  createRoundNode,
  dropped,
  fixRoster,
  leftBecause,
  organisationsOf,
  rosterIsFixed,
  setBytesDown,
  setMembership,
  toGateView,
} from './round-view.ts';

/** What admin page and command line show of runs: folded from the same rows that recovery reads. */
export interface RunViews {
  runs(): RunView[];
  run(id: RunId): RunView;
  /** @param bytesDown of the round that is under way; those of earlier rounds are in their rows */
  detail(id: RunId, bytesDown?: ReadonlyMap<NodeId, number>): Omit<RunDetailView, 'privacy' | 'boost'>;
  close(): void;
}

interface Fold {
  view: RunView;
  readonly created: EventData<'run.created'>;
  readonly rounds: Map<number, RoundView>;
  readonly versions: Omit<VersionView, 'gateLoss' | 'current'>[];
  /** What the gate scored, by adapter. */
  readonly scores: Map<string, GateScore>;
  /** Of each round's evaluations. */
  readonly lossSums: Map<number, number>;
  /** Members of the secure round that is under way, as far as they sent the keys that it begins with. */
  readonly sentKeys: Set<string>;
  clipNormL2: number;
  phaseBeforePause: RoundPhase;
  /** What nodes scored after the last round, by adapter: after a roll-back it can be another one. */
  readonly finalScores: Map<string, { lossSum: number; tokens: number }>;
}

export function createRunViews(store: Store): RunViews {
  const folds = new Map<RunId, Fold>();
  const take = (event: StoredEvent): void => {
    if (event.runId === undefined) return;
    if (event.kind === 'run.created') folds.set(event.runId, createFold(event));
    else {
      const fold = folds.get(event.runId);
      if (fold !== undefined) foldEvent(fold, event);
    }
  };
  const close = store.subscribe(take);
  for (const event of store.read()) take(event);
  const get = (id: RunId): Fold => {
    const fold = folds.get(id);
    if (fold === undefined) throw new WeftError('WEFT_RUN_UNKNOWN', `there is no run ${id}`);
    return fold;
  };
  return {
    runs: () => [...folds.values()].map(({ view }) => ({ ...view })),
    run: (id) => ({ ...get(id).view }),
    detail(id, bytesDown) {
      const fold = get(id);
      const { view, created, rounds } = fold;
      const final = fold.finalScores.get(view.adapterSha256 ?? '');
      const withdrawn = withdrawnRounds(fold);
      return {
        ...view,
        spec: created.spec,
        versions: versionsOf(fold),
        roundsDone: [...rounds.values()].map((round) => ({
          ...round,
          withdrawn: withdrawn.has(round),
          nodes: round.nodes.map((node) => ({
            ...node,
            ...(round.endedAt === null && { bytesDown: bytesDown?.get(node.nodeId as NodeId) ?? 0 }),
          })),
        })),
        finalHeldOutLoss: final === undefined || final.tokens === 0 ? null : final.lossSum / final.tokens,
      };
    },
    close,
  };
}

function createFold({ runId, at, data }: StoredEvent<'run.created'>): Fold {
  return {
    created: data,
    rounds: new Map(),
    versions: [{ adapterSha256: data.adapter.sha256, round: null, roundsCommitted: 0, at }],
    scores: new Map(),
    lossSums: new Map(),
    sentKeys: new Set(),
    clipNormL2: data.spec.aggregation.clipNormL2,
    phaseBeforePause: 'waiting',
    finalScores: new Map(),
    view: {
      id: runId!,
      name: data.spec.name,
      state: 'created',
      phase: 'waiting',
      round: 0,
      roundsCommitted: 0,
      rounds: data.spec.rounds,
      mode: data.spec.aggregation.mode,
      specSha256: data.specSha256,
      adapterSha256: data.adapter.sha256,
      createdAt: at,
      endedAt: null,
      reason: null,
    },
  };
}

function foldEvent(fold: Fold, event: StoredEvent): void {
  const { view } = fold;
  const round = event.round === undefined ? undefined : fold.rounds.get(event.round);
  const node = event.nodeId === undefined ? undefined : round?.nodes.find(({ nodeId }) => nodeId === event.nodeId);
  switch (event.kind) {
    case 'run.started':
      view.state = 'running';
      return;
    case 'run.paused':
      fold.phaseBeforePause = view.phase;
      return void Object.assign(view, { state: 'paused', phase: 'paused', reason: event.data.reason?.message ?? null });
    case 'run.resumed':
      return void Object.assign(view, { state: 'running', phase: fold.phaseBeforePause, reason: null });
    case 'run.stopped':
      endOpenRounds(fold, event.at);
      return void Object.assign(view, { state: 'stopped', phase: 'aborted', endedAt: event.at });
    case 'run.aborted':
      return void Object.assign(view, {
        state: 'aborted',
        phase: 'aborted',
        endedAt: event.at,
        reason: event.data.reason.message,
      });
    case 'run.rolledBack': {
      const { sha256 } = event.data.adapter;
      fold.phaseBeforePause = 'waiting';
      view.adapterSha256 = sha256;
      view.roundsCommitted = findVersion(fold, sha256)?.roundsCommitted ?? 0;
      return;
    }
    case 'run.finished':
      return void Object.assign(view, { state: 'finished', phase: 'finished', endedAt: event.at });
    case 'round.started':
      view.round = event.round!;
      fold.sentKeys.clear();
      fold.rounds.set(event.round!, createRound(event, fold.clipNormL2));
      return;
    case 'round.phase':
      if (view.state === 'running') view.phase = event.data.phase;
      // A round that is over keeps the phase in which it ended.
      if (round === undefined || round.endedAt !== null) return;
      round.phase = event.data.phase;
      if (rosterIsFixed.has(event.data.phase)) fixRoster(round, fold.sentKeys, fold.created.spec);
      return;
    case 'node.offered':
      if (round === undefined) return;
      if (node === undefined) round.nodes.push(createRoundNode(event.nodeId!));
      else Object.assign(node, { stage: 'offered', reason: null });
      return;
    case 'evaluation.reported': {
      const { adapterSha256, lossSum, tokens } = event.data;
      if (round === undefined) {
        const before = fold.finalScores.get(adapterSha256) ?? { lossSum: 0, tokens: 0 };
        fold.finalScores.set(adapterSha256, { lossSum: before.lossSum + lossSum, tokens: before.tokens + tokens });
        return;
      }
      const summed = (fold.lossSums.get(round.round) ?? 0) + lossSum;
      fold.lossSums.set(round.round, summed);
      round.heldOutTokens += tokens;
      round.heldOutLoss = round.heldOutTokens === 0 ? null : summed / round.heldOutTokens;
      if (node !== undefined) node.heldOutLoss = tokens === 0 ? null : lossSum / tokens;
      return;
    }
    case 'node.ready':
      if (node !== undefined) {
        // 0 is what a node says whose policy or run lets no training time leave
        const { trainingMs, organisation } = event.data;
        const vouchedBy = organisation === undefined ? null : organisationFingerprint(Buffer.from(organisation, 'hex'));
        Object.assign(node, { stage: 'ready', trainingMs: trainingMs || null, vouchedBy, reason: null });
      }
      return;
    case 'node.declined':
      if (node !== undefined) Object.assign(node, { stage: 'declined', reason: event.data.message, ...dropped(node) });
      return;
    case 'node.left':
      if (node !== undefined)
        Object.assign(node, {
          stage: 'left',
          reason: leftBecause(event.data, fold.created.spec),
          ...dropped(node),
        });
      return;
    case 'cohort.fixed':
      if (round === undefined) return;
      round.seconds.training = (event.at - round.startedAt) / 1000;
      round.organisations = organisationsOf(round, event.data.nodeIds);
      setMembership(round, event.data.nodeIds, 'member');
      return;
    case 'secagg.moved':
      if (round !== undefined && event.data.kind === 'opening') round.released = true;
      if (round !== undefined && event.data.kind === 'keyAdvert') {
        const { nodeId } = secagg.decodeBody('keyAdvert', Buffer.from(event.data.body ?? '', 'base64'));
        fold.sentKeys.add(`n_${Buffer.from(nodeId).toString('hex')}`);
      }
      return;
    case 'node.blamed':
      if (node !== undefined) Object.assign(node, { reason: event.data.because });
      return;
    case 'update.accepted':
      if (round !== undefined && view.mode === 'plain') round.released = true;
      if (node !== undefined) Object.assign(node, { stage: 'accepted', bytesUp: event.data.payloadBytes });
      return;
    case 'round.aggregated':
      if (round !== undefined) round.refusedShards = event.data.refusedShards ?? [];
      return;
    case 'gate.scored':
      return void fold.scores.set(event.data.adapterSha256, event.data);
    case 'round.committed':
      view.adapterSha256 = event.data.adapter.sha256;
      view.roundsCommitted += 1;
      fold.versions.push({
        adapterSha256: event.data.adapter.sha256,
        round: event.round!,
        roundsCommitted: view.roundsCommitted,
        at: event.at,
      });
      fold.clipNormL2 = event.data.clipping?.nextClipNormL2 ?? fold.clipNormL2;
      if (round !== undefined) commitRound(round, event);
      return;
    case 'round.aborted':
      if (round === undefined) return;
      Object.assign(round, {
        phase: 'aborted',
        endedAt: event.at,
        reason: event.data.reason.message,
        gate: toGateView(event.data.gate, false),
      });
      setBytesDown(round, event.data.bytesDown);
      return;
    default:
  }
}

const findVersion = ({ versions }: Fold, hash: string | null) =>
  versions.findLast(({ adapterSha256 }) => adapterSha256 === hash);

function versionsOf(fold: Fold): VersionView[] {
  const current = findVersion(fold, fold.view.adapterSha256);
  return fold.versions.map((version) => {
    const score = fold.scores.get(version.adapterSha256);
    return { ...version, gateLoss: score === undefined ? null : lossOf(score), current: version === current };
  });
}

/** From the run's adapter back to the first one: what was committed and is not on that way was withdrawn. */
function withdrawnRounds({ rounds, view }: Fold): Set<RoundView> {
  const withdrawn = new Set<RoundView>();
  let adapter = view.adapterSha256;
  for (const round of [...rounds.values()].toReversed()) {
    if (round.adapterAfter === null) continue;
    if (round.adapterAfter === adapter) adapter = round.adapterBefore;
    else withdrawn.add(round);
  }
  return withdrawn;
}

function endOpenRounds({ rounds }: Fold, at: number): void {
  for (const round of rounds.values())
    if (round.endedAt === null) Object.assign(round, { phase: 'aborted', endedAt: at });
}
