import type { Cohort, Envelope, Evaluation, RoundResult, RunEnded, SecureMessage } from '@weft/proto';
import { catalogue, isRunId, toWeftError, WeftError, type RunId } from '@weft/shared';
import { toEventFault } from '../event-fault.ts';
import type { Federation } from '../home/federation-file.ts';
import { toRunOutcome, type OfferedRuns, type RunOutcome } from '../home/offered-runs.ts';
import { readSent, recordSent } from '../home/sent-record.ts';
import { allowedMetrics } from '../policy/metrics.ts';
import { refusalOfRound, refusalOfRun, reasonOfRefusal, refusedBy, refusedRules } from '../policy/refuse.ts';
import { readyOf, workOnOffer, type JobContext } from './job.ts';
import { openOffer, type Offer, type OfferSubject } from './offer.ts';
import type { PendingUpdate } from './pending-updates.ts';
import { batchOrderSeed } from './seeds.ts';
import { sendUpdate } from './send-update.ts';
import { commitBeacon, refuseUnrevealed } from '../secure/beacon.ts';
import { requireTrust } from '../log/distrust.ts';
import { owedOf } from '../log/log-watch.ts';
import { readSeenLog } from '../log/seen-log.ts';
import { readJournal } from '../secure/journal.ts';
import { createSecureRound, type SecureContext, type SecureRound } from '../secure/secure-round.ts';

export interface RoundsContext extends JobContext, Pick<SecureContext, 'pendingFolder'> {
  readonly federation: () => Federation;
  readonly offeredRuns: OfferedRuns;
  readonly onTiming: (kind: 'training' | 'evaluating' | 'transfer', seconds: number) => void;
}

/** What the node does about each thing that the coordinator says of runs. None of these throws. */
export interface Rounds {
  /** A session began: what ended meanwhile is asked for. */
  connected(): void;
  offer(envelope: Envelope): void;
  cohort(cohort: Cohort): void;
  secure(message: SecureMessage): void;
  result(result: RoundResult): void;
  runEnded(ended: RunEnded): void;
  /** Takes no more offers, gives up what is not promised yet, and resolves when what is promised was sent. */
  drain(): Promise<void>;
  /** Ends all work at once and resolves when none is left. */
  stop(): Promise<void>;
}

/** A node's part in one round: from the offer, or from an update that a restart found on disk, to the receipt. */
interface Job {
  readonly runId: RunId;
  readonly round: number;
  readonly runName: string;
  /** What was asked for and from which adapter: an offer that says the same is a repeat. */
  readonly task: string;
  readonly over: AbortController;
  evaluation?: Evaluation;
  update?: PendingUpdate;
  uploading?: boolean;
  /** The update has left, or part of it; `secure` knows it of its own. */
  hasLeft: boolean;
  secure?: SecureRound;
  /** Only a score was asked for, and it was said. */
  scored?: boolean;
}

/** A coordinator answers no more at once; the others are asked for at the next session. */
const mostAsked = 64;

const taskOf = ({ round, kind, adapter }: Offer): string => `${round}/${kind}/${adapter.sha256}`;

/** That a restart found on disk. */
const jobOf = (update: PendingUpdate): Job => ({
  runId: update.body.runId as RunId,
  round: update.body.round,
  runName: update.runName,
  task: '',
  over: new AbortController(),
  hasLeft: false,
  update,
});

export function createRounds(context: RoundsContext): Rounds {
  const { connection, emit, pending, home, offeredRuns } = context;
  const jobs = new Map<string, Job>();
  const running = new Set<Promise<void>>();
  const onIdle = Promise.withResolvers<void>();
  let draining = false;
  // one training at a time, however many runs; uploads go on beside it
  let line: Promise<void> = Promise.resolve();

  const finish = (job: Job): void => {
    job.over.abort();
    job.secure?.end();
    if (jobs.get(job.runId) === job) jobs.delete(job.runId);
    if (draining && jobs.size === 0) onIdle.resolve();
  };
  /** Nothing awaits a message's consequences: what goes wrong in them is told here. */
  const inBackground = (work: Promise<void>): Promise<void> => {
    const told = work
      .catch((error: unknown) => emit({ event: 'refused', ...toEventFault(error) }))
      .finally(() => running.delete(told));
    running.add(told);
    return told;
  };
  const sayDecline = ({ runId, round }: OfferSubject, reason: WeftError): void => {
    const { code } = reason;
    const rule = refusedRules(reason);
    const message = `${catalogue[code].todo}${rule === undefined ? '' : ` (${rule})`}`;
    connection.say({ case: 'decline', value: { runId, round, code, message } });
  };
  const sayReady = async (update: PendingUpdate): Promise<void> => {
    const { size } = await readSeenLog(context.home);
    const beaconCommitment = await commitBeacon(context.pendingFolder, update.body, update.spec);
    const allowed = allowedMetrics(context.policy, update.spec);
    connection.say({ case: 'ready', value: readyOf(update, size, allowed, beaconCommitment) });
  };
  const sayAgain = ({ evaluation, update }: Job): void => {
    if (evaluation !== undefined) connection.say({ case: 'evaluation', value: evaluation });
    if (update !== undefined) void inBackground(sayReady(update));
  };

  // What is said goes into the record first: the record may name too much, never too little.
  const decline = async (job: Job, error: unknown): Promise<void> => {
    if (job.over.signal.aborted) return;
    const { runId, round, runName } = job;
    const reason = toWeftError(error);
    finish(job);
    const rule = refusedRules(reason);
    const why = reasonOfRefusal(reason);
    await recordSent(home, {
      kind: 'decline',
      runId,
      runName,
      round,
      code: reason.code,
      ...((job.hasLeft || job.secure?.hasSent() === true) && { hadLeft: true as const }),
      ...(rule !== undefined && { rule }),
      ...(why !== undefined && { why }),
    });
    sayDecline(job, reason);
    await pending.remove(runId, round);
    emit({ event: 'declined', runId, round, ...toEventFault(error) });
  };

  /** Declines what the policy does not allow, and also what cannot be held against it. */
  const isAllowed = async (job: Job, offer: Offer): Promise<boolean> => {
    try {
      await offeredRuns.offered(offer.runId, offer.spec.name, offer.round);
      await refuseUnrevealed(home, offer.runId);
      await requireTrust(home, offer.runId);
      const enough = offer.kind === 'train' ? await context.answered.refusal(offer) : undefined;
      const refused = (await refusalOfRound(context, offer, new Date())) ?? refusedBy(enough ? [enough] : []);
      if (refused === undefined) return true;
      await decline(job, refused);
    } catch (error) {
      await decline(job, error);
    }
    return false;
  };

  const work = async (job: Job, offer: Offer): Promise<void> => {
    const { runId, round, runName, over } = job;
    if (over.signal.aborted) return;
    try {
      await pending.remove(runId, round - 1);
      const outcome = await workOnOffer(offer, context, {
        signal: over.signal,
        async onEvaluated(evaluation, seconds) {
          job.evaluation = evaluation;
          context.onTiming('evaluating', seconds);
          const { adapterSha256, lossSum, tokens } = evaluation;
          await recordSent(home, {
            kind: 'evaluation',
            runId,
            runName,
            round,
            adapterSha256,
            lossSum,
            tokens: Number(tokens),
          });
          connection.say({ case: 'evaluation', value: evaluation });
        },
      });
      if (over.signal.aborted) return;
      if (outcome === undefined) {
        job.scored = true;
        if (draining) finish(job);
        return;
      }
      const { update, trained } = outcome;
      job.update = update;
      await sayReady(update);
      if (trained === undefined) return;
      context.onTiming('training', trained.seconds);
      emit(trained);
    } catch (error) {
      await decline(job, error);
    }
  };

  const send = async (job: Job, update: PendingUpdate): Promise<void> => {
    if (job.uploading === true) return;
    if (update.spec.aggregation.mode === 'secure') {
      // A coordinator that asks for it in the clear breaks the spec that it signed.
      return decline(job, new WeftError('WEFT_SECAGG_REFUSED', 'the coordinator asked for an unmasked update'));
    }
    job.uploading = true;
    try {
      await requireTrust(home, job.runId);
      await context.answered.note({ ...update.body, spec: update.spec });
      job.hasLeft = true;
      const { receipt, seconds } = await sendUpdate(update, context, job.over.signal);
      context.onTiming('transfer', seconds);
      await context.logWatch.owe(owedOf(receipt, update));
      finish(job);
      await pending.remove(job.runId, job.round);
    } catch (error) {
      await decline(job, error);
    }
  };

  /** A message names a round that this process knows nothing of: it was restarted after it had reported ready. */
  const resume = async (runId: RunId, round: number): Promise<Job | undefined> => {
    const update = await pending.find(runId, round);
    const known = jobs.get(runId);
    if (known !== undefined) return known;
    if (update === undefined) {
      sayDecline({ runId, round }, new WeftError('WEFT_NODE_UPDATE_LOST', 'the update of this round is gone'));
      return undefined;
    }
    const job = jobOf(update);
    jobs.set(runId, job);
    // the policy may have been narrowed since this was trained
    const refused = refusalOfRun(update.spec, context.policy);
    if (refused === undefined) return job;
    await decline(job, refused);
    return undefined;
  };

  /** Whatever became of the round: nobody waits for this update any more. */
  const giveUp = async (update: PendingUpdate): Promise<void> => {
    const { runId, round } = update.body;
    const live = jobs.get(runId);
    const journal = await readJournal(context.pendingFolder, runId as RunId, round);
    // It said all that it had to say, and nobody told it what came of that.
    if (journal?.events.at(-1)?.kind === 'unmask') return pending.remove(runId, round);
    const job = live?.round === round ? live : jobOf(update);
    const sent = await readSent(home);
    job.hasLeft ||= sent.some((line) => line.kind === 'update' && line.runId === runId && line.round === round);
    const reason = `the time that the run gives round ${round} is over: the update was deleted`;
    return decline(job, new WeftError('WEFT_NODE_UPDATE_LOST', reason));
  };
  pending.onOverdue((update) => void inBackground(giveUp(update)));

  const sendResumed = async (runId: RunId, round: number): Promise<void> => {
    const job = await resume(runId, round);
    if (job?.round === round && job.update !== undefined) await send(job, job.update);
  };

  const takeSecure = async (runId: RunId, message: SecureMessage): Promise<void> => {
    const job = jobs.get(runId) ?? (await resume(runId, message.round));
    if (job?.round !== message.round || job.update === undefined) return;
    if (job.update.spec.aggregation.mode !== 'secure') return;
    job.secure ??= createSecureRound(job.update, context, {
      signal: job.over.signal,
      onSent: (seconds) => context.onTiming('transfer', seconds),
      onEnded: (error) => void inBackground(decline(job, error)),
    });
    try {
      await job.secure.take(message);
    } catch (error) {
      await decline(job, error);
    }
  };

  const closeRound = async (runId: string, round: number): Promise<void> => {
    await pending.remove(runId, round);
    await offeredRuns.roundOver(runId, round);
  };

  const closeRun = async (runId: string, outcome: RunOutcome): Promise<void> => {
    await pending.remove(runId, Infinity);
    const run = await offeredRuns.ended(runId, outcome);
    if (run === undefined) return;
    const { runName, round } = run;
    await recordSent(home, { kind: 'run', runId, runName, round, outcome });
  };

  return {
    connected() {
      const offered = offeredRuns.open().slice(-mostAsked);
      if (offered.length > 0) connection.say({ case: 'openRuns', value: { offered } });
    },
    offer(envelope) {
      let subject: OfferSubject | undefined;
      let offer: Offer;
      try {
        offer = openOffer(envelope, context.federation(), (known) => (subject = known));
      } catch (error) {
        emit({ event: 'refused', ...toEventFault(error) });
        if (subject !== undefined) sayDecline(subject, toWeftError(error));
        return;
      }
      if (draining) {
        sayDecline(offer, new WeftError('WEFT_NODE_LEAVING', 'this node is stopping'));
        return;
      }
      const { runId, round, kind, spec, factor } = offer;
      const known = jobs.get(runId);
      if (known?.task === taskOf(offer)) return sayAgain(known);
      if (known !== undefined) finish(known);
      const over = new AbortController();
      const job: Job = { runId, round, runName: spec.name, task: taskOf(offer), over, hasLeft: false };
      jobs.set(runId, job);
      emit({
        event: 'offered',
        runId,
        round,
        kind,
        factor,
        runName: spec.name,
        rounds: spec.rounds,
        steps: spec.training.steps,
        batchOrderSeed: batchOrderSeed({ ...offer, nodeId: context.nodeId }),
      });
      // a refusal does not wait for the training of another run
      const allowed = isAllowed(job, offer);
      line = inBackground(Promise.all([allowed, line]).then(([may]) => (may ? work(job, offer) : undefined)));
    },
    cohort({ runId, round, nodeIds }) {
      if (!isRunId(runId)) return;
      const isMember = nodeIds.includes(context.nodeId);
      const job = jobs.get(runId);
      if (job === undefined || job.round !== round) {
        if (isMember) void inBackground(sendResumed(runId, round));
      } else if (!isMember) {
        emit({ event: 'left-out', runId, round });
        finish(job);
      } else if (job.update !== undefined) void inBackground(send(job, job.update));
    },
    secure(message) {
      if (isRunId(message.runId)) void inBackground(takeSecure(message.runId, message));
    },
    result({ runId, round, committed, contributors, reason }) {
      const job = jobs.get(runId);
      if (job !== undefined && job.round <= round) finish(job);
      if (offeredRuns.isOver(runId, round)) return;
      void inBackground(closeRound(runId, round));
      context.logWatch.roundOver(runId, round);
      emit({
        event: 'round-ended',
        runId,
        round,
        committed,
        contributors,
        code: Object.hasOwn(catalogue, reason) ? reason : '',
      });
    },
    runEnded({ runId, outcome: word }) {
      const job = jobs.get(runId);
      if (job !== undefined) finish(job);
      if (offeredRuns.hasEnded(runId)) return;
      const outcome = toRunOutcome(word);
      void inBackground(closeRun(runId, outcome));
      context.logWatch.roundOver(runId, Infinity);
      emit({ event: 'run-ended', runId, outcome });
    },
    async drain() {
      draining = true;
      for (const job of jobs.values()) {
        if (job.scored === true) finish(job);
        else if (job.update === undefined)
          await decline(job, new WeftError('WEFT_NODE_LEAVING', 'the operator stopped this node'));
      }
      if (jobs.size > 0) await onIdle.promise;
    },
    async stop() {
      draining = true;
      pending.close();
      for (const job of jobs.values()) finish(job);
      while (running.size > 0) await Promise.all(running);
    },
  };
}
