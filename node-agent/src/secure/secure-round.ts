import { randomBytes } from 'node:crypto';
import type { Receipt, SecureMessage } from '@weft/proto';
import { secagg, WeftError, type Identity, type RunId } from '@weft/shared';
import { recordSent } from '../home/sent-record.ts';
import { endedSession } from '../policy/refuse.ts';
import { requireTrust } from '../log/distrust.ts';
import { owedOf, type LogWatch } from '../log/log-watch.ts';
import { writeSeenLog, type SeenLog } from '../log/seen-log.ts';
import type { AnsweredRounds } from '../round/answered-rounds.ts';
import type { PendingUpdate, PendingUpdates } from '../round/pending-updates.ts';
import { sendUpdate, type SendContext } from '../round/send-update.ts';
import { appendJournal, beginJournal, type Journal, readJournal, readLastRounds, writeLastRound } from './journal.ts';
import { awaitReveals, noteReveals, readBeacon, refuseUnrevealed } from './beacon.ts';
import type { Cost, PrivacyLedger } from '../ledger/privacy-ledger.ts';
import { knowledgeOf } from './knowledge.ts';
import { type MaskedUpdate, maskUpdate, readMasked } from './mask-update.ts';

export interface SecureContext extends SendContext {
  readonly identity: Identity;
  readonly pending: PendingUpdates;
  readonly pendingFolder: string;
  readonly ledger: PrivacyLedger;
  readonly answered: AnsweredRounds;
  readonly logWatch: LogWatch;
}

/** A node's part in one session: one message after the other, each answer durable before it leaves. */
export interface SecureRound {
  take(message: SecureMessage): Promise<void>;
  /** Whether the masked update has left, or is about to. */
  hasSent(): boolean;
  /** The round is over: nothing of it is answered any more. */
  end(): void;
}

export interface SecureRoundOptions {
  readonly signal: AbortSignal;
  readonly onSent: (seconds: number) => void;
  /** The session ended by a deadline, which no message says. */
  readonly onEnded: (error: unknown) => void;
}

const tickMs = 1000;
/** A promise that is due later than this after the time for inputs is none. */
const longestPromiseMs = 15 * 60_000;

export function createSecureRound(
  update: PendingUpdate,
  context: SecureContext,
  { signal, onSent, onEnded }: SecureRoundOptions,
): SecureRound {
  const { runId, round } = update.body;
  let state = secagg.newNode();
  let options: secagg.NodeOptions | undefined;
  let begun: Omit<Journal, 'events'> | undefined;
  let masked: MaskedUpdate | undefined;
  let line: Promise<void> = Promise.resolve();
  let isRecorded = false;
  let hasSent = false;
  let cost: Cost | undefined;
  let received: Receipt | undefined;
  let offered: secagg.Signed | undefined;
  let ticking: NodeJS.Timeout | undefined;

  const optionsOf = async (journal: Omit<Journal, 'events'>): Promise<secagg.NodeOptions> => ({
    knowledge: knowledgeOf({ update, ...context, federation: context.federation(), ...journal }),
    sign: (message) => context.identity.sign(message),
    beaconRandom: await readBeacon(context.pendingFolder, runId, round),
  });

  /** Once the roster stands, the round counts as one whose beacons were silent, until they have spoken. */
  const followBeacons = async (before: secagg.NodeState['phase']): Promise<void> => {
    if (state.phase === before) return;
    if (state.phase === 'sharded') await awaitReveals(context.home, runId, round);
    else if (before === 'sharded' && state.session) await noteReveals(context.home, runId);
  };

  const dispatch = async (event: secagg.NodeEvent): Promise<void> => {
    if (!options || signal.aborted) return;
    const before = state.phase;
    const step = secagg.stepNode(options, state, event, performance.now(), randomBytes);
    state = step.state;
    await followBeacons(before);
    // That the coordinator gave the round up, its result says too.
    const effects = event.kind === 'abort' ? step.effects.filter(({ kind }) => kind !== 'aborted') : step.effects;
    for (const effect of effects) await carryOut(effect);
  };

  /**
   * The head of an offer that this node answers is one that every later offer and checkpoint must continue: it is seen
   * before the journal has the offer, so that whoever resumes has seen it, and who has not never answers it.
   */
  const takeOffer = async (event: secagg.NodeEvent & { kind: 'offer' }, seen: SeenLog): Promise<void> => {
    if (!options || signal.aborted) return;
    const step = secagg.stepNode(options, state, event, performance.now(), randomBytes);
    const { logSize, logRoot } = offeredHead(event.signed);
    const answers = step.effects.some((effect) => effect.kind === 'send' && effect.name === 'keyAdvert');
    if (answers && logSize > seen.size)
      await writeSeenLog(context.home, {
        size: logSize,
        root: logRoot,
        leastSize: seen.leastSize,
        offer: event.signed,
      });
    const forks = step.effects.some((effect) => effect.kind === 'aborted' && effect.reason === 'logOnlyGrew');
    // An offer that is only behind is refused and contradicts nothing.
    if (forks && logSize >= seen.leastSize) await context.logWatch.offerForks(runId, round, event.signed, seen);
    state = step.state;
    for (const effect of step.effects) await carryOut(effect);
  };

  /** What promises that a Cut or Abort will stand in the log is kept for good: without it no cut is signed. */
  const takeReceipt = async (signed: secagg.Signed): Promise<void> => {
    if (!options || context.logWatch.isOwed(runId, round)) return;
    const receipt = secagg.readReceipt(state, signed, context.federation().coordinatorKey);
    const { offer, session } = state;
    if (!receipt || !offer || !session || !received) return;
    // Both times are the coordinator's: what passes between them is measured on this node's monotonic clock.
    const withinMs = Number(receipt.loggedByMs - received.acceptedAtMs);
    if (withinMs <= 0 || withinMs > offer.body.deadlines.inputMs + longestPromiseMs)
      throw new WeftError(
        'WEFT_SECAGG_REFUSED',
        `a receipt promises the log within ${withinMs} ms, which is no promise`,
      );
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    await context.logWatch.owe({
      ...owedOf(received, update),
      mayBeLeftOut: session.shards.length > 1,
      withinMs,
      statements: [...(offered ? [offered] : []), signed].map(({ body, signature }) => ({
        body: base64(body),
        signature: base64(signature),
      })),
    });
  };

  /** What the operator can read of the session; once in a process, however often the same answer leaves. */
  const recordCut = async (): Promise<void> => {
    const { session, cut } = state;
    if (isRecorded || !session || !cut) return;
    isRecorded = true;
    const survivors = session.members.filter((_, place) => cut.body.surviving[place]);
    await recordSent(context.home, {
      kind: 'secure',
      runId,
      runName: update.runName,
      round,
      members: session.members.length,
      survivors: survivors.length,
      colluders: session.sizes.colluders,
      // where the policy lists none, the coordinator could have made them up
      ...(context.policy.trustedOrganisations !== 'any' && { organisations: secagg.organisationsOf(survivors) }),
    });
  };

  const carryOut = async (effect: secagg.NodeEffect): Promise<void> => {
    switch (effect.kind) {
      case 'journal':
        if (effect.event.kind !== 'offer')
          return appendJournal(context.pendingFolder, runId as RunId, round, effect.event);
        offered = effect.event.signed;
        return beginJournal(context.pendingFolder, runId as RunId, round, { ...begun!, events: [effect.event] });
      case 'mask':
        masked = await maskUpdate(update, effect.terms, context.identity);
        return dispatch({ kind: 'masked', chunkRoot: masked.chunkRoot, lengthBytes: masked.lengthBytes });
      case 'send': {
        if (effect.name === 'maskedInput') {
          masked ??= await readMasked(update, context.identity);
          hasSent = true;
          const sent = await sendUpdate(masked.update, context, signal, cost);
          received = sent.receipt;
          onSent(sent.seconds);
        }
        if (effect.name === 'cutAck') {
          await recordCut();
          const { hash, body } = state.cut!;
          const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
          await context.logWatch.signCut(runId, round, { cutHash: hex(hash), inputRoot: hex(body.inputRoot) });
        }
        context.connection.say({ case: 'secure', value: { runId, round, name: effect.name, ...effect.signed } });
        return;
      }
      case 'spend':
        // The journalled event is the mark: who replays it sends these bytes or none, and is charged for them once.
        await context.answered.note({ ...update.body, spec: update.spec });
        cost = await context.ledger.charge({
          spec: update.spec,
          values: Number(update.body.values),
          clipNormL2: update.clipNormL2,
          federationId: context.federation().federationId,
          runId,
          round,
          payloadSha256: update.body.payloadSha256,
        });
        return;
      case 'evidence':
        return context.logWatch.twoCuts(runId, round, update.runName, effect.statements);
      case 'forget':
        clearInterval(ticking);
        return context.pending.remove(runId, round);
      case 'aborted':
        throw endedSession(runId, round, effect.reason);
    }
  };

  const openSession = async (journal: Omit<Journal, 'events'>): Promise<void> => {
    options = await optionsOf(journal);
    const tick = (): void => void enqueue(() => dispatch({ kind: 'tick' })).catch(onEnded);
    ticking = setInterval(tick, tickMs).unref();
  };

  /** What a process before this one had begun. */
  const resume = async (): Promise<void> => {
    const journal = await readJournal(context.pendingFolder, runId as RunId, round);
    if (!journal) return;
    await openSession(journal);
    let last: readonly secagg.NodeEffect[] = [];
    for (const event of journal.events) {
      const step = secagg.stepNode(options!, state, event, performance.now(), randomBytes);
      state = step.state;
      last = step.effects;
      if (event.kind === 'offer') offered = event.signed;
      if (event.kind === 'masked') hasSent = true;
    }
    await followBeacons((state.session?.shards.length ?? 1) > 1 ? 'sharded' : 'waiting');
    // What the process may have died over: it is durable, and says the same again.
    for (const effect of last) if (effect.kind !== 'journal') await carryOut(effect);
  };

  /** An offer begins a session, once, whatever a crash leaves of it. @returns false where its proof starts from another log than was seen */
  const begin = async (message: SecureMessage, { size, root, leastSize }: SeenLog): Promise<boolean> => {
    const { memberKeys, memberEndorsements, proofFrom } = message;
    await refuseUnrevealed(context.home, runId);
    const lastRound = (await readLastRounds(context.home)).get(runId) ?? -1;
    if (lastRound >= round)
      throw new WeftError('WEFT_SECAGG_REFUSED', `a session of round ${round + 1} was begun before`);
    if (Number(proofFrom) !== size) return false;
    const checkpoint = { size, root, leastSize };
    begun = { lastRound, memberKeys, memberEndorsements, beganS: Date.now() / 1000, checkpoint };
    await writeLastRound(context.home, runId as RunId, round);
    await openSession(begun);
    return true;
  };

  const takeOfferMessage = async (message: SecureMessage): Promise<void> => {
    // Not before the ends of earlier rounds were shown: who owes them gets no further update.
    if (!options) await context.logWatch.settled(runId, round, signal);
    if (signal.aborted) return;
    await context.logWatch.exclusively(async (seen) => {
      // Something else was shown meanwhile: the coordinator offers again, from there.
      if (!options && !(await begin(message, seen))) return context.logWatch.sayAstray(seen);
      const event = toEvent(message);
      if (event?.kind === 'offer') await takeOffer(event, seen);
    });
  };

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  };

  return {
    take: (message) =>
      enqueue(async () => {
        // Whoever was caught meanwhile, in whichever run, gets no further answer.
        await requireTrust(context.home, runId);
        if (!options) await resume();
        if (message.name === 'offer') return takeOfferMessage(message);
        if (message.name === 'receipt') return takeReceipt(message);
        const event = toEvent(message);
        if (event?.kind === 'cut' && state.phase === 'submitted' && !context.logWatch.isOwed(runId, round))
          throw new WeftError('WEFT_SECAGG_REFUSED', 'a cut came, and no receipt that promises it to the log');
        if (event) await dispatch(event);
      }),
    hasSent: () => hasSent,
    end() {
      clearInterval(ticking);
      options = undefined;
    },
  };
}

/** @returns undefined for what nodes have no use for */
function toEvent({ name, body, signature, proof }: SecureMessage): secagg.NodeEvent | undefined {
  switch (name) {
    case 'offer':
      return { kind: 'offer', signed: { body, signature }, consistency: logProof(proof) };
    case 'roster':
    case 'shardSeed':
    case 'shareDelivery':
    case 'unmask':
      return { kind: name, body };
    case 'cut':
      return { kind: 'cut', signed: { body, signature }, proof: secagg.decode(secagg.cutProofLayout, proof) };
    case 'abort':
      return { kind: 'abort' };
    default:
      return undefined;
  }
}

function offeredHead({ body }: secagg.Signed): { logSize: number; logRoot: Uint8Array } {
  try {
    const { logSize, logRoot } = secagg.decodeBody('offer', body);
    return { logSize: Number(logSize), logRoot };
  } catch {
    return { logSize: 0, logRoot: new Uint8Array(32) };
  }
}

/** Nothing came where there was nothing to continue. */
const logProof = (proof: Uint8Array): readonly Uint8Array[] =>
  proof.length === 0 ? [] : secagg.decode(secagg.logProofLayout, proof).proof;
