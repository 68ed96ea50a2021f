import { sha256, type FederationId, type NodeId } from '@weft/shared';
import { readFederation } from './home/federation-file.ts';
import { findHolder } from './home/lock.ts';
import { readSent, type Sent } from './home/sent-record.ts';

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
  /** The newest lines of the record, oldest first. */
  readonly lastSent: readonly Sent[];
  /** Every round that this node's update is in, or may be. */
  readonly rounds: readonly RoundStatus[];
}

/** What hid this node's update in a round; null under plain aggregation, where nothing does. */
export interface RoundStatus {
  readonly runId: string;
  readonly runName: string;
  /** From 0. */
  readonly round: number;
  readonly mode: 'secure' | 'plain';
  readonly colluders: number | null;
  readonly survivors: number | null;
  readonly members: number | null;
}

const lastLines = 6;

/** @throws WEFT_NODE_NOT_JOINED, WEFT_NODE_HOME_DAMAGED */
export async function readStatus(home: string): Promise<NodeStatus> {
  const { coordinatorKey, certificates, version: _version, ...federation } = await readFederation(home);
  const sent = await readSent(home);
  const updates = sent.filter((entry) => entry.kind === 'update');
  return {
    ...federation,
    coordinatorKey: Buffer.from(coordinatorKey).toString('hex'),
    certificates: certificates.map(({ der }) => sha256(der)),
    pid: (await findHolder(home)) ?? null,
    updatesSent: updates.length,
    bytesSent: updates.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0),
    lastSent: sent.slice(-lastLines),
    rounds: roundsOf(sent),
  };
}

/** A restart may have written the same round twice: the last line of it counts. */
function roundsOf(sent: readonly Sent[]): RoundStatus[] {
  const rounds = new Map<string, RoundStatus>();
  for (const entry of sent) {
    if (entry.kind !== 'update' && entry.kind !== 'secure') continue;
    const { runId, runName, round } = entry;
    const unknown = { colluders: null, survivors: null, members: null };
    const known = rounds.get(`${runId}/${round}`) ?? { runId, runName, round, mode: 'secure', ...unknown };
    const { colluders, survivors, members } = entry.kind === 'secure' ? entry : known;
    const mode = entry.kind === 'update' ? entry.mode : 'secure';
    rounds.set(`${runId}/${round}`, { ...known, mode, colluders, survivors, members });
  }
  return [...rounds.values()];
}
