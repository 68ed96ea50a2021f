import {
  createAdapterLayout,
  factorSize,
  secagg,
  toNodeId,
  toWeftError,
  type AdapterLayout,
  type NodeId,
  type RunId,
  type Sha256,
} from '@weft/shared';
import {
  activePhase,
  evolve,
  hasEnded,
  initialState,
  step,
  toSend,
  type Effect,
  type RoundInput,
  type RunState,
} from '../round/index.ts';
import type { CoordinatorSays } from '../federation/ports.ts';
import type { StoredEvent } from '../store/events.ts';
import { aggregateRound } from './aggregate-round.ts';
import { scoreAdapter } from './score-adapter.ts';
import { adapterRef, sealOffer } from './offers.ts';
import { secureRowOf } from './points.ts';
import type { RunContext } from './run-context.ts';
import { belongsToRound, removePartials } from './uploads.ts';

/** One run: the round machine's state, and the hands that carry out its effects. */
export class Run {
  readonly id: RunId;
  readonly layout: AdapterLayout;
  readonly specSha256: Sha256;
  readonly #context: RunContext;
  /** What each node was offered and may download. */
  readonly #offered = new Map<NodeId, Set<Sha256>>();
  #state: RunState;
  #cancelAlarm: (() => void) | undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  #turns = 0;

  constructor(context: RunContext, created: StoredEvent<'run.created'>) {
    this.#context = context;
    this.id = created.runId!;
    const { spec, specSha256 } = created.data;
    this.specSha256 = specSha256;
    this.layout = createAdapterLayout(context.models.get(spec.baseModel.sha256).dimensions, spec.adapter);
    const values = (factor: 'A' | 'B' | 'both'): number => factorSize(this.layout, factor);
    this.#state = initialState(this.id, created.data, context.timing, {
      A: values('A'),
      B: values('B'),
      both: values('both'),
    });
  }

  get state(): RunState {
    return this.#state;
  }

  get hasEnded(): boolean {
    return hasEnded(this.#state);
  }

  /** A row of this run, read back at start. */
  replay(event: StoredEvent): void {
    this.#state = evolve(this.#state, event);
    this.#remember(event);
  }

  /**
   * Takes an input: its rows are durable when this returns, its messages are on their way.
   * @throws what the machine refuses, and WEFT_DISK_FULL; then nothing has changed
   */
  dispatch(input: RoundInput): void {
    const { clock, random, store, onPoint, transparencyLog } = this.#context;
    const now = { ...this.#state, logHead: transparencyLog.head() };
    const { state, effects } = step(now, input, clock.now(), random);
    const [record] = effects;
    if (record?.kind === 'record') {
      const accepts = record.events.some(({ kind }) => kind === 'update.accepted');
      const commits = record.events.some(({ kind }) => kind === 'round.committed');
      const secure = secureRowOf(record.events);
      if (secure) onPoint(`before-${secure}-row`);
      if (accepts) onPoint('before-event-row');
      const scores = record.events.some(({ kind }) => kind === 'gate.scored');
      if (scores) onPoint('before-score-row');
      if (commits) onPoint('before-commit');
      // Before the subscribers hear of it: they may ask for what the rows say.
      const before = this.#state;
      this.#state = state;
      try {
        for (const event of store.append(record.events)) this.#remember(event);
      } catch (error) {
        this.#state = before;
        throw error;
      }
      if (secure) onPoint(`after-${secure}-row`);
      if (accepts) onPoint('after-event-row');
      if (scores) onPoint('after-score-row');
      if (commits) onPoint('after-commit');
    }
    this.#state = state;
    const turn = ++this.#turns;
    for (const effect of effects) {
      // Sending may end a session, and that is an input of its own, with a newer schedule.
      if (effect.kind !== 'schedule' || turn === this.#turns) this.#carryOut(effect);
    }
  }

  heard(nodeId: NodeId): void {
    if (this.#state.participants.has(nodeId)) this.dispatch({ kind: 'heard', nodeId });
  }

  /** Base model, adapters that it was asked to score or train, and the newest one. */
  mayDownload(nodeId: NodeId, sha256: Sha256): boolean {
    const offered = this.#offered.get(nodeId);
    if (offered === undefined) return false;
    return offered.has(sha256) || sha256 === this.#state.adapter.sha256;
  }

  wasOfferedTo = (nodeId: NodeId): boolean => this.#offered.has(nodeId);

  /** Hashes of updates that this run still needs. */
  neededUpdates(): Sha256[] {
    if (this.hasEnded) return [];
    return [...this.#state.participants.values()].flatMap(({ payload, update }) =>
      [payload?.sha256, update?.payload.sha256].filter((hash) => hash !== undefined),
    );
  }

  needsPartial = (name: string): boolean =>
    !this.hasEnded && activePhase(this.#state) === 'collecting' && belongsToRound(name, this.id, this.#state.round);

  /** Ends timers and waits for work that is under way; the table knows how to go on. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelAlarm?.();
    await this.#work;
  }

  #remember(event: StoredEvent): void {
    if (event.kind !== 'node.offered' || event.nodeId === undefined) return;
    const offered = this.#offered.get(event.nodeId) ?? new Set();
    this.#offered.set(event.nodeId, offered.add(event.data.adapterSha256));
  }

  #carryOut(effect: Effect): void {
    const { gateway, clock } = this.#context;
    const runId = this.id;
    switch (effect.kind) {
      case 'record':
        return;
      case 'offer':
        gateway.send(effect.nodeId, { case: 'roundOffer', value: sealOffer(this.#context, this.#state, effect.work) });
        return;
      case 'announceCohort': {
        const { round, nodeIds, deadlineAt } = effect;
        const value = { runId, round, nodeIds: [...nodeIds], deadlineMs: BigInt(deadlineAt) };
        return this.#tell(effect.to, { case: 'cohort', value });
      }
      case 'sendSecure':
        return this.#sendSecure(effect);
      case 'announceResult': {
        const { round, committed, reason, contributors } = effect;
        const value = { runId, round, committed, adapter: adapterRef(effect.adapter), reason, contributors };
        return this.#tell(effect.to.filter(this.wasOfferedTo), { case: 'roundResult', value });
      }
      case 'announceEnd': {
        const value = { runId, outcome: effect.outcome, adapter: adapterRef(effect.adapter), reason: effect.reason };
        return this.#tell(effect.to.filter(this.wasOfferedTo), { case: 'runEnded', value });
      }
      case 'schedule':
        this.#cancelAlarm?.();
        this.#cancelAlarm =
          effect.at === undefined || this.#closing.signal.aborted
            ? undefined
            : clock.alarm(effect.at, () => this.#dispatchSafely({ kind: 'timer' }));
        return;
      case 'aggregate':
        this.#inBackground(() => this.#aggregate(effect));
        return;
      case 'gate':
        this.#inBackground(() => this.#gate(effect));
        return;
      case 'discardUpdates':
        this.#inBackground(() => this.#discard(effect));
        return;
    }
  }

  /** The same to all: its bytes are made once. */
  #tell(to: readonly NodeId[], message: CoordinatorSays): void {
    for (const nodeId of to) this.#context.gateway.send(nodeId, message);
  }

  #sendSecure({ to, round, message, memberKeys = [] }: Extract<Effect, { kind: 'sendSecure' }>): void {
    const { gateway, identity, registry } = this.#context;
    const { name, body, proof } = message;
    const value = {
      runId: this.id,
      round,
      name,
      body,
      signature: identity.sign(secagg.signedMessage(body)),
      ...(proof && { proof: secagg.encode(secagg.cutProofLayout, proof) }),
      memberKeys: [...memberKeys],
      memberEndorsements: memberKeys.map((key) => registry.endorsement(toNodeId(key))),
    };
    const said = { case: 'secure', value } as const;
    if (name !== 'offer') return this.#tell(to, said);
    const logSize = Number(secagg.decodeBody('offer', body).logSize);
    for (const nodeId of to) gateway.send(nodeId, said, { case: 'secure', value: this.#logProof(nodeId, logSize) });
  }

  /** Between the log that this node has seen and the one that the offer names. */
  #logProof(nodeId: NodeId, logSize: number): { proof: Uint8Array; proofFrom: bigint } {
    const { watchers } = this.#context;
    // Since a restart it has said nothing but what its row holds.
    watchers?.told(nodeId, this.#state.participants.get(nodeId)?.logSize ?? 0);
    const { fromSize, proof } = watchers?.offerProof(nodeId, logSize) ?? { fromSize: 0, proof: [] };
    return { proof: secagg.encode(secagg.logProofLayout, { proof }), proofFrom: BigInt(fromSize) };
  }

  /** The offer of secure aggregation, where its proof started from another log than this node has seen. */
  offerAgain(nodeId: NodeId): void {
    const { secure, cohort, round } = this.#state;
    if (secure?.server.phase !== 'keys' || !cohort.includes(nodeId)) return;
    for (const message of secagg.messagesToAll(secure.options, secure.server))
      this.#sendSecure(toSend(secure, { to: [nodeId], round }, message));
  }

  async #aggregate(effect: Extract<Effect, { kind: 'aggregate' }>): Promise<void> {
    const { round } = effect;
    try {
      const aggregate = await aggregateRound(this.#context, this.#state, this.layout, effect);
      this.dispatch({ kind: 'aggregated', round, aggregate });
    } catch (error) {
      const { code, message } = toWeftError(error);
      this.#context.logger.error({ runId: this.id, round, code, err: error }, 'aggregation failed');
      this.#dispatchSafely({ kind: 'aggregationFailed', round, reason: { code, message } });
    }
  }

  async #gate({ adapter: { sha256: adapterSha256 } }: Extract<Effect, { kind: 'gate' }>): Promise<void> {
    this.#context.onPoint('before-score');
    try {
      const score = await scoreAdapter(
        this.#context,
        this.#state.spec,
        this.layout,
        adapterSha256,
        this.#closing.signal,
      );
      this.#dispatchSafely({ kind: 'gated', adapterSha256, ...score });
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const { code, message } = toWeftError(error);
      this.#context.logger.error({ runId: this.id, code, err: error }, 'an adapter could not be scored');
      this.#dispatchSafely({ kind: 'gateFailed', adapterSha256, reason: { code, message } });
    }
  }

  async #discard({ round, payloads, adapters }: Extract<Effect, { kind: 'discardUpdates' }>): Promise<void> {
    const { publisher, blobs } = this.#context;
    await publisher.publishRound(this.id, this.#state.spec, round);
    for (const sha256 of payloads) await blobs.updates.remove(sha256);
    for (const sha256 of adapters) await blobs.adapters.remove(sha256);
    await removePartials(this.#context, (name) => !belongsToRound(name, this.id, round));
  }

  /** For inputs that nobody waits for. A full disk is met again at the next input. */
  #dispatchSafely(input: RoundInput): void {
    if (this.#closing.signal.aborted) return;
    try {
      this.dispatch(input);
    } catch (error) {
      const { code } = toWeftError(error);
      this.#context.logger.error({ runId: this.id, input: input.kind, code, err: error }, 'a run could not go on');
      const { clock, timing } = this.#context;
      this.#cancelAlarm?.();
      this.#cancelAlarm = clock.alarm(clock.now() + timing.retryMs, () => this.#dispatchSafely(input));
    }
  }

  #inBackground(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#context.logger.error(
        { runId: this.id, code: toWeftError(error).code, err: error },
        'background work failed',
      );
    });
  }
}
