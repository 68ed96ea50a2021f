import {
  withEntry,
  type GateComparison,
  type NodeId,
  type RoundPhase,
  type SeededRandom,
  type Sha256,
} from '@weft/shared';
import type { NewEvent, Reason } from '../store/events.ts';
import { evolve } from './evolve.ts';
import type { Effect } from './inputs.ts';
import { nodesIn, type Candidate, type ParticipantStage, type RunState } from './state.ts';

export type RoundRandom = Pick<SeededRandom, 'integer'>;

type WithoutSubject<E> = E extends NewEvent ? Omit<E, 'runId' | 'round' | 'at'> & { readonly round?: number } : never;

/** Each step of a session waits for others; within one, whoever is awaited anew was heard just now. */
const leasesOf = ({ round, phase, secure }: RunState): string => `${round} ${phase} ${secure?.server.phase ?? ''}`;

/** One step in the making: the state so far, the rows and effects so far. It lives and ends within `step`. */
export class Turn {
  state: RunState;
  readonly now: number;
  readonly random: RoundRandom;
  readonly events: NewEvent[] = [];
  readonly effects: Effect[] = [];

  constructor(state: RunState, now: number, random: RoundRandom) {
    this.state = state;
    this.now = now;
    this.random = random;
  }

  /** Adds a row about this run and, unless the row names another, this round. */
  record(event: WithoutSubject<NewEvent>): void {
    const { runId, round } = this.state;
    const about = event.kind.startsWith('run.') ? { runId } : { runId, round };
    const row = { ...about, at: this.now, ...event } as NewEvent & { at: number };
    this.events.push(row);
    this.state = evolve(this.state, row);
  }

  /** Changes what no row holds: sessions and work in progress. */
  change(
    part: Partial<
      Pick<RunState, 'connected' | 'heardAt' | 'leases' | 'bytesDown' | 'enoughSince' | 'aggregating' | 'scoring'>
    >,
  ): void {
    this.state = { ...this.state, ...part };
  }

  effect(effect: Effect): void {
    this.effects.push(effect);
  }

  enter(phase: RoundPhase, more: { round?: number; deadlineAt?: number } = {}): void {
    const { round, ...data } = more;
    this.record({ kind: 'round.phase', ...(round !== undefined && { round }), data: { phase, ...data } });
  }

  connectedNodes(): NodeId[] {
    return [...this.state.connected.keys()];
  }

  offer(nodeId: NodeId, work: 'train' | 'evaluate'): void {
    if (this.state.participants.get(nodeId)?.stage !== 'offered') {
      this.record({ kind: 'node.offered', nodeId, data: { work, adapterSha256: this.state.adapter.sha256 } });
    }
    this.change({ heardAt: withEntry(this.state.heardAt, nodeId, this.now) });
    this.effect({ kind: 'offer', nodeId, work, round: this.state.round });
  }

  /** Nodes in these stages whose lease ended without a sign of life have left. */
  dropSilent(...stages: ParticipantStage[]): void {
    this.dropSilentOf(() => nodesIn(this.state, ...stages));
  }

  /** Of the nodes that this phase waits for. They are looked at again only once another lease can have ended. */
  dropSilentOf(awaited: () => readonly NodeId[]): void {
    const { leases, heardAt: heard, timing } = this.state;
    const of = leasesOf(this.state);
    if (leases.of === of && this.now < leases.until) return;
    let until = this.now + timing.leaseMs;
    for (const nodeId of awaited()) {
      const heardAt = heard.get(nodeId) ?? this.now;
      const silentMs = this.now - heardAt;
      if (silentMs < timing.leaseMs) until = Math.min(until, heardAt + timing.leaseMs);
      else this.record({ kind: 'node.left', nodeId, data: { cause: 'lease', silentMs } });
    }
    this.change({ leases: { of, until } });
  }

  /** No lease that this phase looks at ends before. */
  static leaseEnd = (state: RunState): number | undefined =>
    state.leases.of === leasesOf(state) ? state.leases.until : undefined;

  /** Ends this try without a result. The next one starts by itself, or the run is given up. */
  abortRound(reason: Reason, gate?: GateComparison): void {
    const { timing } = this.state;
    this.dropRound(reason, gate);
    this.enter('waiting');
    if (this.state.failedTries < timing.failedTries) return;
    const giveUp = {
      code: reason.code,
      message: `${this.state.failedTries} rounds in a row failed, the last one because ${reason.message}`,
    };
    this.record({ kind: 'run.aborted', data: { reason: giveUp } });
    this.endRun('aborted', giveUp.message);
  }

  /** Its updates and what was made of them are no longer needed. */
  dropRound(reason: Reason, gate?: GateComparison): void {
    const { timing, failedTries, round, candidate } = this.state;
    const delay = Math.min(timing.retryMs * 2 ** failedTries, timing.longestRetryMs);
    const payloads = this.acceptedPayloads();
    this.record({
      kind: 'round.aborted',
      data: {
        reason,
        retryAt: this.now + delay,
        bytesDown: Object.fromEntries(this.state.bytesDown),
        ...(gate && candidate && { gate: { ...gate, adapter: candidate.adapter } }),
      },
    });
    // What is still being added up belongs to this try: the next one adds up its own.
    this.change({ aggregating: false });
    this.effect({ kind: 'discardUpdates', round, payloads, adapters: this.unusedBlobs(candidate) });
    this.effect({
      kind: 'announceResult',
      to: this.connectedNodes(),
      round,
      committed: false,
      adapter: this.state.adapter,
      reason: reason.code,
      contributors: 0,
    });
  }

  endRun(outcome: 'finished' | 'aborted' | 'stopped', reason: string): void {
    this.effect({ kind: 'announceEnd', to: this.connectedNodes(), outcome, adapter: this.state.adapter, reason });
  }

  /** Of an adapter that is not committed: the blobs that no version has. */
  unusedBlobs(candidate: Candidate | undefined): Sha256[] {
    const kept = new Set(this.state.versions.flatMap(({ adapter, momentum }) => [adapter.sha256, momentum?.sha256]));
    return [candidate?.adapter.sha256, candidate?.momentum?.sha256].flatMap((hash) =>
      hash === undefined || kept.has(hash) ? [] : [hash],
    );
  }

  acceptedPayloads() {
    return [...this.state.participants.values()].flatMap(({ update }) =>
      update === undefined ? [] : [update.payload.sha256],
    );
  }
}
