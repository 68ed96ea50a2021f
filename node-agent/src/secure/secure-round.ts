import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureMessage } from '@weft/proto';
import { secagg, WeftError, type Identity, type RunId } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';
import { recordSent } from '../home/sent-record.ts';
import { endedSession } from '../policy/refuse.ts';
import type { PendingUpdate, PendingUpdates } from '../round/pending-updates.ts';
import { sendUpdate, type SendContext } from '../round/send-update.ts';
import { appendJournal, beginJournal, type Journal, readJournal, readLastRounds, writeLastRound } from './journal.ts';
import { awaitReveals, noteReveals, readBeacon, refuseUnrevealed } from './beacon.ts';
import type { Cost, PrivacyLedger } from '../ledger/privacy-ledger.ts';
import { knowledgeOf } from './knowledge.ts';
import { readSeenLog, writeSeenLog } from './seen-log.ts';
import { type MaskedUpdate, maskUpdate, readMasked } from './mask-update.ts';

export interface SecureContext extends SendContext {
  readonly identity: Identity;
  readonly pending: PendingUpdates;
  readonly pendingFolder: string;
  readonly ledger: PrivacyLedger;
}

/** A node's part in one session: one message after the other, each answer durable before it leaves. */
export interface SecureRound {
  take(message: SecureMessage): Promise<void>;
  /** Whether the masked update has left. */
  hasSent(): boolean;
  /** The round is over: nothing of it is answered any more. */
  end(): void;
}

const tickMs = 1000;

export function createSecureRound(
  update: PendingUpdate,
  context: SecureContext,
  { signal, onSent }: { signal: AbortSignal; onSent: (seconds: number) => void },
): SecureRound {
  const { runId, round } = update.body;
  let state = secagg.newNode();
  let options: secagg.NodeOptions | undefined;
  let masked: MaskedUpdate | undefined;
  let line: Promise<void> = Promise.resolve();
  let isRecorded = false;
  let hasSent = false;
  let cost: Cost | undefined;
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
    if (event.kind === 'offer') await rememberLog(event.signed, step.effects);
    // That the coordinator gave the round up, its result says too.
    const effects = event.kind === 'abort' ? step.effects.filter(({ kind }) => kind !== 'aborted') : step.effects;
    for (const effect of effects) await carryOut(effect);
  };

  /** The head of an offer that this node answers is the one that every later offer must continue. */
  const rememberLog = async (offer: secagg.Signed, effects: readonly secagg.NodeEffect[]): Promise<void> => {
    if (effects.some((effect) => effect.kind === 'send' && effect.name === 'keyAdvert')) {
      const { logSize, logRoot } = secagg.decodeBody('offer', offer.body);
      await writeSeenLog(context.home, { size: Number(logSize), root: logRoot }, offer);
    }
    if (effects.some((effect) => effect.kind === 'aborted' && effect.reason === 'logOnlyGrew')) {
      const { offer: seen } = await readSeenLog(context.home);
      const statements = seen ? [seen, offer] : [offer];
      await keepEvidence(context.home, { runId, round, about: 'two logs of one federation', statements });
    }
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
      organisations: secagg.organisationsOf(survivors),
    });
  };

  const carryOut = async (effect: secagg.NodeEffect): Promise<void> => {
    switch (effect.kind) {
      case 'journal':
        return appendJournal(context.pendingFolder, runId as RunId, round, effect.event);
      case 'mask':
        masked = await maskUpdate(update, effect.terms, context.identity);
        return dispatch({ kind: 'masked', chunkRoot: masked.chunkRoot, lengthBytes: masked.lengthBytes });
      case 'send': {
        if (effect.name === 'maskedInput') {
          masked ??= await readMasked(update, context.identity);
          onSent(await sendUpdate(masked.update, context, signal, cost));
          hasSent = true;
        }
        if (effect.name === 'cutAck') await recordCut();
        context.connection.say({ case: 'secure', value: { runId, round, name: effect.name, ...effect.signed } });
        return;
      }
      case 'spend':
        // The journalled event is the mark: who replays it sends these bytes or none, and is charged for them once.
        cost = await context.ledger.charge({
          spec: update.spec,
          values: Number(update.body.values),
          federationId: context.federation().federationId,
          runId,
          round,
          payloadSha256: update.body.payloadSha256,
        });
        return;
      case 'evidence':
        return keepEvidence(context.home, { runId, round, about: effect.about, statements: effect.statements });
      case 'forget':
        clearInterval(ticking);
        return context.pending.remove(runId, round);
      case 'aborted':
        throw endedSession(runId, round, effect.reason);
    }
  };

  /** Offers begin a session, once; whatever else comes to a fresh process belongs to one that is on disk. */
  const begin = async ({ name, memberKeys, memberEndorsements }: SecureMessage): Promise<void> => {
    if (options) return;
    const journal = await readJournal(context.pendingFolder, runId as RunId, round);
    if (journal) {
      options = await optionsOf(journal);
      let last: readonly secagg.NodeEffect[] = [];
      for (const event of journal.events) {
        const before = state.phase;
        const step = secagg.stepNode(options, state, event, performance.now(), randomBytes);
        state = step.state;
        last = step.effects;
        await followBeacons(before);
      }
      // What the process may have died over: it is durable, and says the same again.
      for (const effect of last) if (effect.kind !== 'journal') await carryOut(effect);
    } else if (name === 'offer') {
      await refuseUnrevealed(context.home, runId);
      const lastRound = (await readLastRounds(context.home)).get(runId) ?? -1;
      if (lastRound >= round)
        throw new WeftError('WEFT_SECAGG_REFUSED', `a session of round ${round} was begun before`);
      const { size, root } = await readSeenLog(context.home);
      const checkpoint = { size, root };
      await beginJournal(context.pendingFolder, {
        runId: runId as RunId,
        round,
        lastRound,
        memberKeys,
        memberEndorsements,
        checkpoint,
      });
      await writeLastRound(context.home, runId as RunId, round);
      options = await optionsOf({ lastRound, memberKeys, memberEndorsements, checkpoint });
    }
    if (options) ticking = setInterval(() => void enqueue(() => dispatch({ kind: 'tick' })), tickMs).unref();
  };

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  };

  return {
    take: (message) =>
      enqueue(async () => {
        await begin(message);
        const event = toEvent(message);
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

/** Nothing came where there was nothing to continue. */
const logProof = (proof: Uint8Array): readonly Uint8Array[] =>
  proof.length === 0 ? [] : secagg.decode(secagg.logProofLayout, proof).proof;

/** Two statements that cannot both be honest, for whoever is to judge. */
async function keepEvidence(
  home: string,
  { statements, ...about }: { runId: string; round: number; about: string; statements: readonly secagg.Signed[] },
): Promise<void> {
  const folder = join(home, 'evidence');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const kept = {
    ...about,
    statements: statements.map(({ body, signature }) => ({ body: base64(body), signature: base64(signature) })),
  };
  await writePrivateFile(join(folder, `${about.runId}.${about.round}.json`), JSON.stringify(kept));
}
