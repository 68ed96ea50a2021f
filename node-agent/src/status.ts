import { protectionOf, sha256, toWeftError, type FederationId, type NodeId } from '@weft/shared';
import { readFederation } from './home/federation-file.ts';
import { findHolder } from './home/lock.ts';
import { readDistrust, type Distrust } from './log/distrust.ts';
import { readOwed } from './log/owed-rounds.ts';
import { readSeenLog } from './log/seen-log.ts';
import { readOfferedRuns, type OfferedRun } from './home/offered-runs.ts';
import { readSent, type Sent } from './home/sent-record.ts';
import { ledgerIn, readStatements, type LedgerStatement, type PrivacyBudget } from './ledger/privacy-ledger.ts';
import { budgetOf } from './policy/local-rules.ts';
import { readPolicy } from './policy/policy-file.ts';
import { defaultPolicy, type Policy } from './policy/policy.ts';

/** What a home knows of itself, without asking the coordinator. */
export interface NodeStatus {
  readonly federationId: FederationId;
  readonly federationName: string;
  readonly nodeId: NodeId;
  readonly nodeName: string;
  readonly organisation: string;
  readonly address: string;
  readonly coordinatorKey: string;
  /** SHA-256 of the certificates that TLS accepts. */
  readonly certificates: readonly string[];
  /** Of the agent that runs on this home now. */
  readonly pid: number | null;
  readonly updatesSent: number;
  readonly bytesSent: number;
  /** The newest lines of the record but for cosignatures, oldest first. */
  readonly lastSent: readonly Sent[];
  /** Every round that this node's update is in, or may be. */
  readonly rounds: readonly RoundStatus[];
  /** Runs that were offered, in the order in which they were first. */
  readonly runs: readonly RunStatus[];
  /** Rounds that were declined, the newest last. */
  readonly refusals: readonly Refusal[];
  readonly privacy: PrivacyStatus;
  /** Against whom secure aggregation protects with this policy, in a sentence. */
  readonly protection: string;
  /** Codes of what cannot be read, and keeps the agent from starting. */
  readonly faults: readonly string[];
  readonly log: LogStatus;
}

/** A run that this node was offered: its last round here, and how it ended, as far as the coordinator said. */
export type RunStatus = Pick<OfferedRun, 'runName' | 'round' | 'outcome'> & { readonly runId: string };

/** Of the transparency log. */
export interface LogStatus {
  /** Entries that this node has seen. */
  readonly size: number;
  /** How often this node cosigned it. */
  readonly cosignatures: number;
  /** Rounds whose end is still to be shown to it. */
  readonly owedRounds: number;
  /** What stops rounds until the operator dismisses it. */
  readonly distrusted: readonly Distrust[];
}

/** What left in a round, what hid it, and what it cost. */
export interface RoundStatus {
  readonly runId: string;
  readonly runName: string;
  /** From 0. */
  readonly round: number;
  readonly mode: 'secure' | 'plain';
  /** What hid the update; null under plain aggregation, where nothing does, and where no sum was agreed on. */
  readonly colluders: number | null;
  readonly survivors: number | null;
  readonly members: number | null;
  /** Different trusted organisations among the survivors, by their signatures. */
  readonly organisations: number | null;
  /** Of what left; null where nothing did. */
  readonly payloadSha256: string | null;
  readonly payloadBytes: number | null;
  /** L2, before it was clipped. */
  readonly normL2: number | null;
  /** ε of this round alone; null without noise. */
  readonly epsilon: number | null;
}

export interface Refusal {
  readonly at: string;
  readonly runId: string;
  readonly runName: string;
  readonly round: number;
  readonly code: string;
  /** Keys of the policy that the run breaks. */
  readonly rule: string | null;
  /** What the run asks for and what the policy says. */
  readonly why: string | null;
}

export interface PrivacyStatus {
  readonly budget: PrivacyBudget | null;
  readonly spent: readonly LedgerStatement[];
}

const lastLines = 6;

/** @throws WEFT_NODE_NOT_JOINED, WEFT_NODE_HOME_DAMAGED */
export async function readStatus(home: string): Promise<NodeStatus> {
  const { coordinatorKey, certificates, version: _version, ...federation } = await readFederation(home);
  const sent = await readSent(home);
  const updates = sent.filter((entry) => entry.kind === 'update');
  const faults: string[] = [];
  /** An operator looks here when the agent does not start: what is broken is told, and the rest is shown. */
  const orFault = async <T>(reading: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await reading;
    } catch (error) {
      faults.push(toWeftError(error).code);
      return otherwise;
    }
  };
  const policy = await orFault<Policy | undefined>(
    readPolicy(home).then((inForce) => inForce.policy),
    undefined,
  );
  const { privacyDelta, privacyLedger, trustedOrganisations } = policy ?? defaultPolicy;
  const spent = await orFault(readStatements(ledgerIn(home, privacyLedger), privacyDelta), []);
  const listed = trustedOrganisations === 'any' ? 0 : new Set(trustedOrganisations).size;
  return {
    ...federation,
    coordinatorKey: Buffer.from(coordinatorKey).toString('hex'),
    certificates: certificates.map(({ der }) => sha256(der)),
    pid: (await findHolder(home)) ?? null,
    updatesSent: updates.length,
    bytesSent: updates.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0),
    // a witness cosigns so often that nothing else would be seen
    lastSent: sent.filter(({ kind }) => kind !== 'cosignature').slice(-lastLines),
    rounds: roundsOf(sent),
    runs: [...(await orFault(readOfferedRuns(home), new Map<string, OfferedRun>()))].map(
      ([runId, { runName, round, outcome }]) => ({ runId, runName, round, outcome }),
    ),
    refusals: sent.flatMap((entry) => (entry.kind === 'decline' ? [refusalOf(entry)] : [])),
    privacy: { budget: (policy && budgetOf(policy)) ?? null, spent },
    protection: `${protectionOf(listed)}${listed === 0 ? ' The policy lists none in trustedOrganisations.' : ''}`,
    faults,
    log: {
      size: await orFault(
        readSeenLog(home).then(({ size }) => size),
        0,
      ),
      cosignatures: sent.filter(({ kind }) => kind === 'cosignature').length,
      owedRounds: (await orFault(readOwed(home), [])).length,
      distrusted: await orFault(readDistrust(home), []),
    },
  };
}

const refusalOf = ({ at, runId, runName, round, code, rule, why }: Extract<Sent, { kind: 'decline' }>): Refusal => ({
  at,
  runId,
  runName,
  round,
  code,
  rule: rule ?? null,
  why: why ?? null,
});

const nothingKnown = {
  mode: 'secure',
  colluders: null,
  survivors: null,
  members: null,
  organisations: null,
  payloadSha256: null,
  payloadBytes: null,
  normL2: null,
  epsilon: null,
} as const;

/** A restart may have written the same round twice: the last line of it counts. */
function roundsOf(sent: readonly Sent[]): RoundStatus[] {
  const rounds = new Map<string, RoundStatus>();
  for (const entry of sent) {
    if (entry.kind !== 'update' && entry.kind !== 'secure') continue;
    const { runId, runName, round } = entry;
    const known = rounds.get(`${runId}/${round}`) ?? { ...nothingKnown, runId, runName, round };
    rounds.set(`${runId}/${round}`, { ...known, ...(entry.kind === 'secure' ? sessionOf(entry) : updateOf(entry)) });
  }
  return [...rounds.values()];
}

const sessionOf = ({ colluders, survivors, members, organisations }: Extract<Sent, { kind: 'secure' }>) => ({
  colluders,
  survivors,
  members,
  organisations: organisations ?? null,
});

const updateOf = ({ mode, payloadSha256, payloadBytes, normL2, privacy }: Extract<Sent, { kind: 'update' }>) => ({
  mode,
  payloadSha256,
  payloadBytes,
  normL2,
  epsilon: privacy?.epsilon ?? null,
});
