import { log, secagg, type GateScore, type NodeId, type RunId, type Sha256 } from '@weft/shared';
import type { EventData, EventKind, StoredEvent } from '../store/events.ts';

/** The rows that can become leaves or tell what to write in one. */
export const loggedKinds = [
  'node.enrolled',
  'node.approved',
  'node.revoked',
  'run.created',
  'run.stopped',
  'run.aborted',
  'run.rolledBack',
  'round.started',
  'cohort.fixed',
  'secagg.opened',
  'secagg.moved',
  'update.accepted',
  'round.committed',
  'round.aborted',
] as const satisfies readonly EventKind[];

/** Of secure aggregation, as far as its rows tell without running it again. */
interface LoggedSession {
  readonly invited: ReadonlyMap<string, Uint8Array>;
  /** Their keys, by node id in hex. */
  readonly members: Map<string, Uint8Array>;
  acknowledgements: number;
}

interface OpenRound {
  readonly round: number;
  readonly adapter: Sha256;
  readonly updates: Map<NodeId, Sha256>;
  secure?: LoggedSession;
}

interface LoggedRun {
  readonly created: EventData<'run.created'>;
  open?: OpenRound | undefined;
  lastRound?: number;
  /** Of the last result, as its leaf has it. */
  nextClipNorm?: bigint;
}

const bytesOf = (hash: string): Uint8Array => Buffer.from(hash, 'hex');
const zeros = new Uint8Array(32);
const factors = { A: 1, B: 2, both: 3 } as const;
const modes = { plain: 0, secure: 1 } as const;

/** @returns a function that takes the rows in their order and gives the leaves that each becomes */
export function deriveLeaves(): (event: StoredEvent) => Uint8Array[] {
  const keys = new Map<NodeId, Uint8Array>();
  const organisations = new Map<NodeId, Uint8Array>();
  const approved = new Set<NodeId>();
  const runs = new Map<RunId, LoggedRun>();

  const enrolLeaf = (at: number, nodeId: NodeId, key: Uint8Array): Uint8Array =>
    log.encodeLeaf('enrol', {
      at: BigInt(at),
      node: log.enrolledName(key),
      organisation: organisations.get(nodeId) ?? zeros,
    });

  const membership = (event: StoredEvent<'node.approved' | 'node.revoked'>): Uint8Array[] => {
    const { nodeId, kind } = event;
    const key = nodeId && keys.get(nodeId);
    const enrols = kind === 'node.approved';
    // A node that was never approved had nothing to lose.
    if (nodeId === undefined || key === undefined || approved.has(nodeId) === enrols) return [];
    if (enrols) approved.add(nodeId);
    else approved.delete(nodeId);
    return [
      enrols
        ? enrolLeaf(event.at, nodeId, key)
        : log.encodeLeaf('revoke', { at: BigInt(event.at), node: log.enrolledName(key) }),
    ];
  };

  /** An organisation that signs for a node after its approval is told by a second leaf. */
  const enrolment = ({ nodeId, at, data }: StoredEvent<'node.enrolled'>): Uint8Array[] => {
    if (nodeId === undefined) return [];
    const key = bytesOf(data.publicKey);
    keys.set(nodeId, key);
    if (data.endorsement === undefined) return [];
    // The registry takes no endorsement whose signature does not hold; its first half is the organisation's key.
    const organisation = bytesOf(data.endorsement).subarray(0, 32);
    const isNews = !Buffer.from(organisation).equals(organisations.get(nodeId) ?? zeros);
    organisations.set(nodeId, organisation);
    return isNews && approved.has(nodeId) ? [enrolLeaf(at, nodeId, key)] : [];
  };

  return (event) => {
    if (event.kind === 'node.enrolled') return enrolment(event);
    if (event.kind === 'node.approved' || event.kind === 'node.revoked') return membership(event);
    if (event.runId === undefined) return [];
    if (event.kind === 'run.created') runs.set(event.runId, { created: event.data });
    const run = runs.get(event.runId);
    return run === undefined ? [] : ofRun(run, event, keys);
  };
}

function ofRun(run: LoggedRun, event: StoredEvent, keys: ReadonlyMap<NodeId, Uint8Array>): Uint8Array[] {
  if (event.kind === 'round.started') return [begin(run, event)];
  if (event.kind === 'run.rolledBack') {
    const { adapter, from } = event.data;
    const { lastRound = 0, nextClipNorm = 0n } = run;
    const hashes = { previousAdapter: bytesOf(from), adapterHash: bytesOf(adapter.sha256) };
    return [log.encodeLeaf('rollback', { ...headerOf(event, lastRound), ...hashes, nextClipNorm })];
  }
  const { open } = run;
  if (open === undefined) return [];
  const header = headerOf(event, open.round);
  switch (event.kind) {
    case 'cohort.fixed': {
      // Secure mode fixes its own roster, with keys.
      if (run.created.spec.aggregation.mode === 'secure') return [];
      const members = event.data.nodeIds.flatMap((nodeId) => keys.get(nodeId) ?? []);
      return [log.encodeLeaf('roster', { ...header, ...membersOf(header.runId, members), advertRoot: zeros })];
    }
    case 'secagg.opened': {
      const invited = new Map(event.data.members.map(({ nodeId, publicKey }) => [nodeId.slice(2), bytesOf(publicKey)]));
      open.secure = { invited, members: new Map(), acknowledgements: 0 };
      return [];
    }
    case 'secagg.moved':
      return open.secure ? move(open.secure, event, header) : [];
    case 'update.accepted':
      if (event.nodeId) open.updates.set(event.nodeId, event.data.updateSha256);
      return [];
    case 'round.committed': {
      const { gate, adapter, clipping } = event.data;
      run.open = undefined;
      run.nextClipNorm = clipping ? log.floatBits(clipping.nextClipNormL2) : 0n;
      return [...verdict(header, gate && { ...gate, adapter }, 1), result(open, event.data, header, run.nextClipNorm)];
    }
    case 'round.aborted':
    case 'run.aborted':
    case 'run.stopped': {
      run.open = undefined;
      const code = event.kind === 'run.stopped' ? 'stopped' : event.data.reason.code;
      return [
        ...verdict(header, event.kind === 'round.aborted' ? event.data.gate : undefined, 0),
        log.encodeLeaf('abort', { ...header, code: Buffer.from(code) }),
      ];
    }
    default:
      return [];
  }
}

interface RoundHeader {
  readonly at: bigint;
  readonly runId: Uint8Array;
  readonly round: number;
}

const headerOf = ({ at, runId }: StoredEvent, round: number): RoundHeader => ({
  at: BigInt(at),
  runId: bytesOf(runId!.slice(2)),
  round,
});

function begin(run: LoggedRun, event: StoredEvent<'round.started'>): Uint8Array {
  const { spec, specSha256, layoutSha256 } = run.created;
  const { adapter, factor } = event.data;
  const { gate } = spec.evaluation;
  run.lastRound = event.round!;
  run.open = { round: event.round!, adapter: adapter.sha256, updates: new Map() };
  return log.encodeLeaf('offer', {
    ...headerOf(event, event.round!),
    specHash: bytesOf(specSha256),
    baseHash: bytesOf(spec.baseModel.sha256),
    layoutHash: bytesOf(layoutSha256),
    adapterHash: bytesOf(adapter.sha256),
    factor: factors[factor],
    mode: modes[spec.aggregation.mode],
    gateData: gate ? bytesOf(gate.dataSha256) : zeros,
    gateIncrease: gate ? log.floatBits(gate.greatestIncrease) : 0n,
  });
}

type Judged = NonNullable<EventData<'round.aborted'>['gate']>;

/** What the gate said, where the run has one. */
function verdict(header: RoundHeader, judged: Judged | undefined, passed: 0 | 1): Uint8Array[] {
  if (judged === undefined) return [];
  const { adapter, before, after } = judged;
  const bits = ({ lossSum }: GateScore): bigint => log.floatBits(lossSum ?? Number.NaN);
  return [
    log.encodeLeaf('gate', {
      ...header,
      adapterHash: bytesOf(adapter.sha256),
      lossSumBefore: bits(before),
      lossSumAfter: bits(after),
      tokens: BigInt(after.tokens),
      passed,
    }),
  ];
}

const membersOf = (runId: Uint8Array, members: readonly Uint8Array[]) => ({
  members: members.length,
  memberRoot: log.sortedRoot(members.map((key) => log.pseudonymOf(runId, key))),
});

/** What the session's machine fixed with this message: its roster, its cut, that enough signed the cut. */
function move(session: LoggedSession, { data }: StoredEvent<'secagg.moved'>, header: RoundHeader): Uint8Array[] {
  const { kind, body, revoked, fixed } = data;
  // Rows are of what the machine took, and of nothing else.
  if (kind === 'keyAdvert') {
    const { nodeId } = secagg.decodeBody(kind, Buffer.from(body ?? '', 'base64'));
    const id = Buffer.from(nodeId).toString('hex');
    session.members.set(id, session.invited.get(id)!);
  }
  // Only before the roster it matters: there it takes its keys out.
  if (kind === 'revoked') session.members.delete(revoked?.slice(2) ?? '');
  if (kind === 'cutAck') session.acknowledgements++;
  if (fixed === undefined) return [];
  const bytes = Buffer.from(fixed.bytes, 'base64');
  switch (fixed.leaf) {
    case 'roster':
      return [
        log.encodeLeaf('roster', {
          ...header,
          ...membersOf(header.runId, [...session.members.values()]),
          advertRoot: bytes,
        }),
      ];
    case 'cut': {
      const { surviving, dropped, inputRoot } = secagg.decodeBody('cut', bytes);
      const count = (places: readonly boolean[]): number => places.filter(Boolean).length;
      const sets = { surviving: count(surviving), dropped: count(dropped) };
      return [log.encodeLeaf('cut', { ...header, cutHash: secagg.cutHashOf(bytes), inputRoot, ...sets })];
    }
    case 'open':
      return [log.encodeLeaf('open', { ...header, cutHash: bytes, acknowledgements: session.acknowledgements })];
  }
}

function result(
  open: OpenRound,
  committed: EventData<'round.committed'>,
  header: RoundHeader,
  nextClipNorm: bigint,
): Uint8Array {
  const updates = committed.nodeIds.flatMap((nodeId) => open.updates.get(nodeId) ?? []);
  return log.encodeLeaf('result', {
    ...header,
    previousAdapter: bytesOf(open.adapter),
    adapterHash: bytesOf(committed.adapter.sha256),
    updates: updates.length,
    updateRoot: log.sortedRoot(updates.map(bytesOf)),
    weightSum: BigInt(committed.weightSum),
    gate: committed.gate ? 1 : 0,
    nextClipNorm,
  });
}
