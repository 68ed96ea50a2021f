import {
  createSeededRandom,
  isWeftError,
  parseRunSpec,
  sha256,
  type NodeId,
  type RunId,
  type RunSpec,
  type Sha256,
} from '@weft/shared';
import type { NewEvent } from '../store/events.ts';
import { initialState } from './evolve.ts';
import type { Effect, RoundInput } from './inputs.ts';
import { activePhase, defaultTiming, hasEnded, type RunState } from './state.ts';
import { step } from './step.ts';

export const simulatedNodes = Array.from({ length: 5 }, (_, i) => `n_${String(i).repeat(32)}` as NodeId);

/** One coordinate, whichever factor trains. */
export const simulatedValues = { A: 1, B: 1, both: 1 };

/** A run of the pure machine under a clock of its own, with nodes that do what a test tells them. */
export interface Simulation {
  readonly state: RunState;
  readonly created: NewEvent<'run.created'>;
  readonly now: number;
  readonly events: readonly (NewEvent & { readonly at: number })[];
  readonly effects: readonly Effect[];
  /** @returns the code of the refusal, if it was refused */
  apply(input: RoundInput): string | undefined;
  /** Lets time pass; the timer rings where the machine asked for it. */
  wait(ms: number): void;
  /** The process dies and, some time later, replays its rows. */
  restart(
    replay: (created: NewEvent<'run.created'>, events: readonly (NewEvent & { at: number })[]) => RunState,
    downMs?: number,
  ): void;
  ready(nodeId: NodeId, payload?: string, round?: number): string | undefined;
  upload(nodeId: NodeId, payload?: string, round?: number): string | undefined;
  evaluate(nodeId: NodeId): string | undefined;
  /** The gate's file is scored, if it was asked for. @param lossOf an adapter, in nats a token */
  score(lossOf: (adapterSha256: Sha256) => number | null): void;
  /** The aggregator ends the job that it was given, if it was given one. */
  aggregate(fails?: boolean, finite?: boolean): void;
  /** Every connected node does at once what it is asked for, time jumps to the next timer, until the run has ended. */
  finish(): void;
}

export function simulate(
  spec: Partial<RunSpec['cohort']> & {
    rounds: number;
    heldOutShare?: number;
    greatestIncrease?: number | undefined;
    /** Of each node; none but where it is told. */
    organisationOf?: (nodeId: NodeId) => string | undefined;
  },
): Simulation {
  const { rounds, heldOutShare = 0.1, greatestIncrease, organisationOf, ...cohort } = spec;
  const adapter = { sha256: sha256('version 0'), sizeBytes: 40 };
  const parsed = parseRunSpec({
    name: 'simulated',
    baseModel: { name: 'none', sha256: sha256('model') },
    adapter: {},
    training: { steps: 1 },
    cohort,
    evaluation: {
      heldOutShare,
      ...(greatestIncrease !== undefined && { gate: { dataSha256: sha256('gate data'), greatestIncrease } }),
    },
    aggregation: { mode: 'plain' },
    rounds,
  });
  const runId = `r_${'0'.repeat(32)}` as RunId;
  const created: NewEvent<'run.created'> = {
    kind: 'run.created',
    runId,
    data: { spec: parsed, specSha256: sha256('spec'), layoutSha256: sha256('layout'), adapter },
  };
  const random = createSeededRandom('simulation');
  const events: (NewEvent & { at: number })[] = [];
  const effects: Effect[] = [];
  let state = initialState(runId, created.data, defaultTiming, simulatedValues);
  let now = 1_000_000;
  let timerAt: number | undefined;
  let gate: Extract<Effect, { kind: 'gate' }> | undefined;
  let job: Extract<Effect, { kind: 'aggregate' }> | undefined;

  const apply = (input: RoundInput): string | undefined => {
    try {
      const result = step(state, input, now, random);
      state = result.state;
      for (const effect of result.effects) {
        effects.push(effect);
        if (effect.kind === 'record') events.push(...(effect.events as typeof events));
        if (effect.kind === 'schedule') timerAt = effect.at;
        if (effect.kind === 'aggregate') job = effect;
        if (effect.kind === 'gate') gate = effect;
      }
      return undefined;
    } catch (error) {
      if (isWeftError(error)) return error.code;
      throw error;
    }
  };
  const payloadOf = (nodeId: NodeId, payload: string) => ({ sha256: sha256(`${nodeId} ${payload}`), sizeBytes: 8 });

  const simulation: Simulation = {
    get state() {
      return state;
    },
    get now() {
      return now;
    },
    created,
    events,
    effects,
    apply,
    wait(ms) {
      const until = now + ms;
      while (timerAt !== undefined && timerAt <= until) {
        const due = timerAt;
        now = Math.max(now, due);
        apply({ kind: 'timer' });
        // A timer that is set again for the same moment would ring for ever.
        if (timerAt === due)
          throw new Error(`the machine waits for ${due} although it is ${now}, phase ${state.phase}`);
      }
      now = until;
    },
    restart(replay, downMs = 0) {
      now += downMs;
      state = replay(created, events);
      job = undefined;
      gate = undefined;
      apply({ kind: 'recover' });
    },
    ready(nodeId, payload = 'first', round = state.round) {
      const organisation = organisationOf?.(nodeId);
      return apply({
        kind: 'ready',
        nodeId,
        round,
        payload: payloadOf(nodeId, payload),
        trainingMs: 5,
        publicKey: '0'.repeat(64),
        ...(organisation !== undefined && { organisation }),
      });
    },
    upload(nodeId, payload = 'first', round = state.round) {
      const { sha256: payloadSha256, sizeBytes } = payloadOf(nodeId, payload);
      return apply({
        kind: 'uploaded',
        nodeId,
        round,
        update: {
          updateSha256: sha256(`update ${payloadSha256}`),
          update: '',
          signature: '',
          payloadSha256,
          payloadBytes: sizeBytes,
          weight: 1,
          clipped: false,
          saturatedValues: 0,
          values: 1,
          transferMs: 1,
        },
      });
    },
    evaluate: (nodeId) =>
      apply({
        kind: 'evaluated',
        nodeId,
        round: state.round,
        adapterSha256: state.adapter.sha256,
        lossSum: 20,
        tokens: 10,
      }),
    score(lossOf) {
      if (gate === undefined) return;
      const { sha256: adapterSha256 } = gate.adapter;
      gate = undefined;
      const loss = lossOf(adapterSha256);
      apply({ kind: 'gated', adapterSha256, lossSum: loss === null ? null : 10 * loss, tokens: 10 });
    },
    aggregate(fails = false, finite = true) {
      if (job === undefined) return;
      const { round, updates } = job;
      job = undefined;
      apply(
        fails
          ? { kind: 'aggregationFailed', round, reason: { code: 'WEFT_DISK_FULL', message: 'the disk was full' } }
          : {
              kind: 'aggregated',
              round,
              aggregate: {
                adapter: { sha256: sha256(`round ${round} of ${[...updates.keys()].join()}`), sizeBytes: 40 },
                weightSum: updates.size,
                deltaNormL2: 1,
                finite,
                seconds: 0.1,
              },
            },
      );
    },
    finish() {
      if (state.lifecycle === 'created') apply({ kind: 'start' });
      for (let turns = 0; !hasEnded(state); turns++) {
        if (turns > 1000) throw new Error(`stuck in ${state.phase} (${activePhase(state)}) of round ${state.round}`);
        const rows = events.length;
        if (state.lifecycle === 'paused') apply({ kind: 'resume' });
        for (const nodeId of simulatedNodes) if (!state.connected.has(nodeId)) apply({ kind: 'connected', nodeId });
        for (const [nodeId, { stage }] of state.participants) {
          if (state.phase === 'training' && stage === 'offered') simulation.ready(nodeId, 'last');
          if (state.phase === 'evaluating' && stage === 'offered') simulation.evaluate(nodeId);
          if (state.phase === 'collecting' && stage !== 'accepted' && simulation.ready(nodeId, 'last') === undefined)
            simulation.upload(nodeId, 'last');
        }
        simulation.aggregate();
        simulation.score(() => 2);
        // Time passes only when nobody has anything left to do.
        if (timerAt !== undefined && events.length === rows) simulation.wait(Math.max(0, timerAt - now));
      }
    },
  };
  return simulation;
}
