import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fromRefusal, privacyNotice, toWeftError, WeftError } from '@weft/shared';
import { readRecords, type Device } from '@weft/trainer';
import { toEventFault } from './event-fault.ts';
import type { NodeEvent, NodeSummary } from './events.ts';
import { readFederation, writeFederation, type Federation } from './home/federation-file.ts';
import { openHome, type NodeHome } from './home/home.ts';
import { openOfferedRuns, type OfferedRuns } from './home/offered-runs.ts';
import { readLedger } from './ledger/ledger-file.ts';
import { createPrivacyLedger, ledgerIn } from './ledger/privacy-ledger.ts';
import { createLogWatch } from './log/log-watch.ts';
import { readLoggedAdapters, type LoggedAdapter } from './log/logged-adapters.ts';
import { readOwed, type OwedRound } from './log/owed-rounds.ts';
import { createBaseModels } from './model/base-models.ts';
import { acceptRenewal, dropOlderPins } from './network/renewal.ts';
import { createTraffic } from './network/traffic.ts';
import { allowedDevice, allowedThreads, budgetOf } from './policy/local-rules.ts';
import { checkPolicy } from './policy/parse-policy.ts';
import { readPolicy } from './policy/policy-file.ts';
import type { Policy, PolicyInput } from './policy/policy.ts';
import { readPublished, withPublished } from './policy/publishers.ts';
import { createAnsweredRounds } from './round/answered-rounds.ts';
import { createLocalData } from './round/local-data.ts';
import { openPendingUpdates, type PendingUpdates } from './round/pending-updates.ts';
import { createRounds } from './round/rounds.ts';
import { keepConnected, type Backoff } from './session/connection.ts';
import type { CoordinatorSays } from './session/session.ts';
import { agentVersion } from './version.ts';

export interface NodeOptions {
  readonly home: string;
  /** .txt, .md, .jsonl, .csv, .parquet, or folders of them; read once, at the start. */
  readonly dataPaths: readonly string[];
  /** A base model that is here already; taken when its hash is the offered one. */
  readonly modelPath?: string | undefined;
  /** Where GGUF files are unpacked. */
  readonly unpackFolder?: string | undefined;
  readonly threads?: number | undefined;
  readonly device?: Device | undefined;
  readonly onEvent?: (event: NodeEvent) => void;
  /** Ends the agent when the first run that it took part in has ended. */
  readonly untilRunEnds?: boolean | undefined;
  /** Drains: what was promised to the coordinator is sent, then the agent ends. */
  readonly signal?: AbortSignal | undefined;
  readonly backoff?: Backoff | undefined;
  /** What holds in place of the home's policy.yaml. */
  readonly policy?: PolicyInput | undefined;
  /** How long after the end of a round its leaf in the log is awaited, while connected. */
  readonly endShownWithinMs?: number | undefined;
  /** Sees each serialised message that leaves. */
  readonly onSend?: (bytes: Uint8Array) => void;
}

export interface NodeAgent {
  readonly federation: Federation;
  /** Resolves when the agent has drained or its run has ended; rejects when the coordinator wants no more of it. */
  readonly finished: Promise<NodeSummary>;
  /** Ends at once, without a word to the coordinator. */
  stop(): Promise<void>;
}

/**
 * Starts the operator's daemon: reads the data, then keeps a session and takes part in what is offered.
 * @throws WEFT_NODE_NOT_JOINED, WEFT_HOME_LOCKED, WEFT_PRIVACY_LEDGER_DAMAGED, what is wrong with the policy, and what with
 * the data
 */
export async function startNode(options: NodeOptions): Promise<NodeAgent> {
  const home = await openHome(options.home);
  try {
    const federation = await readFederation(options.home);
    const written =
      options.policy === undefined
        ? (await readPolicy(options.home)).policy
        : checkPolicy(options.policy, 'the policy that the node was started with');
    const policy = withPublished(written, await readPublished(options.home, written));
    const device = allowedDevice(policy, options.device ?? 'auto');
    await readLedger(ledgerIn(options.home, policy.privacyLedger));
    const records = await readRecords(options.dataPaths);
    await requireModel(options.modelPath);
    const owed = await readOwed(options.home);
    const adapters = await readLoggedAdapters(options.home);
    const offeredRuns = await openOfferedRuns(options.home);
    const pending = await openPendingUpdates(home.pendingFolder);
    return runAgent({ ...options, device }, home, {
      federation,
      records,
      policy,
      owed,
      adapters,
      offeredRuns,
      pending,
    });
  } catch (error) {
    await home.release();
    throw error;
  }
}

function runAgent(
  options: NodeOptions,
  home: NodeHome,
  {
    federation: pinned,
    records,
    policy,
    owed,
    adapters,
    offeredRuns,
    pending,
  }: {
    federation: Federation;
    records: Awaited<ReturnType<typeof readRecords>>;
    policy: Policy;
    owed: readonly OwedRound[];
    adapters: Readonly<Record<string, LoggedAdapter>>;
    offeredRuns: OfferedRuns;
    pending: PendingUpdates;
  },
): NodeAgent {
  const { onEvent: emit = () => {}, signal: drainSignal } = options;
  const traffic = createTraffic(options.onSend);
  const stopping = new AbortController();
  const runEnded = Promise.withResolvers<void>();
  const seconds = { training: 0, evaluating: 0, transfer: 0 };
  const startedMs = performance.now();
  let federation = pinned;
  let updates = 0;
  let examples = 0;

  const keep = (changed: Federation): Promise<void> => {
    if (changed === federation) return Promise.resolve();
    federation = changed;
    return writeFederation(home.path, changed);
  };
  const watch = (event: NodeEvent): void => {
    if (event.event === 'trained') examples = event.examples;
    if (event.event === 'sent') updates += 1;
    emit(event);
    // The end of the last round may still be on its way.
    if (event.event === 'run-ended') void logWatch.shownOrAlone(event.runId).then(runEnded.resolve);
  };
  const refuse = (error: unknown): void => watch({ event: 'refused', ...toEventFault(error) });
  const hear = (message: CoordinatorSays): void => {
    switch (message.case) {
      case 'roundOffer':
        return rounds.offer(message.value);
      case 'cohort':
        return rounds.cohort(message.value);
      case 'secure':
        return rounds.secure(message.value);
      case 'roundResult':
        return rounds.result(message.value);
      case 'runEnded':
        return rounds.runEnded(message.value);
      case 'logProof':
        return void logWatch.take(message.value).catch(refuse);
      case 'certificateRenewal': {
        const renewed = acceptRenewal(federation, message.value);
        if (renewed !== federation) watch({ event: 'certificate-renewed' });
        return void keep(renewed).catch(refuse);
      }
      case 'refusal':
        return watch({ event: 'refused', ...toEventFault(fromRefusal(message.value)) });
    }
  };

  const { federationId, federationName, nodeId, nodeName, address } = federation;
  watch({
    event: 'started',
    nodeId,
    nodeName,
    federationId,
    federationName,
    address,
    records: records.length,
    notice: privacyNotice,
  });
  const { connection, over } = keepConnected({
    federation: () => federation,
    identity: home.identity,
    agentVersion,
    traffic,
    ...(options.backoff && { backoff: options.backoff }),
    onAttempt: (attempt) => watch({ event: 'connecting', address: federation.address, attempt }),
    onOpen(_session, certificate) {
      watch({ event: 'connected', address: federation.address });
      logWatch.connected();
      rounds.connected();
      void keep(dropOlderPins(federation, certificate)).catch(refuse);
    },
    onMessage(message) {
      try {
        hear(message);
      } catch (error) {
        refuse(error);
      }
    },
    onClosed(reason, retryInMs) {
      logWatch.disconnected();
      watch({ event: 'disconnected', retryInMs, ...toEventFault(reason) });
    },
    signal: stopping.signal,
  });
  const logWatch = createLogWatch({
    home: home.path,
    identity: home.identity,
    connection,
    federation: () => federation,
    emit: watch,
    owed,
    adapters,
    witness: policy.witness === 'yes' ? home.witnessIdentity : undefined,
    endWithinMs: options.endShownWithinMs,
  });
  const rounds = createRounds({
    home: home.path,
    logWatch,
    offeredRuns,
    identity: home.identity,
    nodeId: federation.nodeId,
    connection,
    federation: () => federation,
    models: createBaseModels({
      cacheFolder: home.cacheFolder,
      localPath: options.modelPath,
      unpackFolder: options.unpackFolder,
    }),
    data: createLocalData(records, { policy, key: home.heldOutKey }),
    pending,
    pendingFolder: home.pendingFolder,
    policy,
    answered: createAnsweredRounds(home.path, policy),
    ledger: createPrivacyLedger({
      place: ledgerIn(home.path, policy.privacyLedger),
      dataSet: policy.dataSet,
      budget: budgetOf(policy),
      delta: policy.privacyDelta,
    }),
    cacheFolder: home.cacheFolder,
    threads: allowedThreads(policy, options.threads ?? availableParallelism()),
    device: options.device ?? 'auto',
    emit: watch,
    onTiming: (kind, spent) => (seconds[kind] += spent),
  });

  const live = async (): Promise<NodeSummary> => {
    const drained = new Promise<void>((resolve) => {
      const drain = (): void => void rounds.drain().then(resolve, resolve);
      if (drainSignal?.aborted === true) drain();
      else drainSignal?.addEventListener('abort', drain, { once: true });
    });
    try {
      await Promise.race([over, drained, ...(options.untilRunEnds === true ? [runEnded.promise] : [])]);
    } catch (error) {
      if (toWeftError(error).code !== 'WEFT_NODE_LEAVING') throw error;
    } finally {
      await rounds.stop();
      await logWatch.stop();
      stopping.abort();
      await over.catch(() => {});
      await home.release();
    }
    const summary = {
      updates,
      examples,
      bytesUp: traffic.bytesUp,
      bytesDown: traffic.bytesDown,
      seconds: { ...seconds, total: (performance.now() - startedMs) / 1000 },
    };
    emit({ event: 'summary', ...summary });
    return summary;
  };
  const finished = live();
  // whoever starts an agent may not listen yet when it fails
  finished.catch(() => {});
  return {
    federation,
    finished,
    async stop() {
      stopping.abort();
      await finished.catch(() => {});
    },
  };
}

/** A mistyped --model is said at once, and not when the first round is declined for it. */
async function requireModel(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  await stat(path).catch((cause: unknown) => {
    throw new WeftError('WEFT_MODEL_NOT_FOUND', `there is nothing at ${path}`, {}, { cause });
  });
}
