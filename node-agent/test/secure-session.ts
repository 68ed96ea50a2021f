import { create } from '@bufbuild/protobuf';
import { Factor, ReceiptSchema, UpdateSchema, type Envelope, type SecureMessage, type Update } from '@weft/proto';
import {
  createIdentity,
  domains,
  hashRunSpec,
  parseBody,
  parseRunSpec,
  sealEnvelope,
  secagg,
  secureSizes,
  sha256,
  toFederationId,
  toNodeId,
  updateEncoding,
  type Identity,
  type merkle,
  type RunId,
} from '@weft/shared';
import type { Federation } from '../src/home/federation-file.ts';
import { checkPolicy } from '../src/policy/parse-policy.ts';
import type { PendingUpdate, PendingUpdates } from '../src/round/pending-updates.ts';
import { knowledgeOf } from '../src/secure/knowledge.ts';
import type { ScriptedSession } from './scripted-coordinator.ts';

/** As much of a session with the agent as is needed to tell it something. */
export type ToAgent = Pick<ScriptedSession, 'say'>;

/** A message as it is about to leave for the agent; the test passes on what it likes. */
export type Told = Pick<SecureMessage, 'name' | 'body' | 'signature' | 'proof'>;

export interface OfferedLog {
  readonly head: merkle.TreeHead;
  /** That it continues a head of this size. */
  proofFrom(size: number): readonly Uint8Array[];
}

export interface SecureSessionOptions {
  readonly coordinator: Identity;
  /** The agent under test. */
  readonly node: Identity;
  readonly runId: string;
  readonly round?: number;
  /** What the offer says that the log is; a log of one entry unless told. */
  readonly log?: OfferedLog;
  /** Entries of the log that the agent has seen. */
  readonly logSeen: number;
  /** Of what its machine says, what the agent is told. */
  readonly tell?: (message: Told) => readonly Told[];
}

const values = 16;
export const spec = parseRunSpec({
  name: 'a run',
  baseModel: { name: 'm', sha256: sha256('model') },
  adapter: {},
  training: { steps: 2, batchSize: 16 },
  aggregation: { clipNormL2: 1, weighting: 'uniform' },
  cohort: { minimum: 3, maximum: 3 },
  rounds: 9,
});
const { offered } = updateEncoding(spec, values);
const payload = secagg.packWords(secagg.ringWords(offered.bits, offered.words), offered.bits);
const hashBytes = (text: string): Uint8Array => Buffer.from(sha256(text), 'hex');

/** What the agent agrees to, where it is to agree. */
export const sessionPolicy = { smallestCohort: 3 } as const;

/**
 * The coordinator's half of a secure round of three, and two of its members, by the product's machines: for a real agent
 * that has an update of that round on its disk, and for tests that tell it something else.
 */
export class SecureSession {
  readonly runId: RunId;
  readonly round: number;
  /** What came of the agent, by name. */
  readonly heard: string[] = [];
  /** The bytes of it, by name: more than one of a name are different ones. */
  readonly bodies = new Map<string, Set<string>>();
  readonly #options: SecureSessionOptions;
  readonly #others = [createIdentity().identity, createIdentity().identity];
  readonly #server: secagg.ServerOptions;
  readonly #sides = new Map<Identity, { options: secagg.NodeOptions; state: secagg.NodeState }>();
  readonly #waiting = new Set<() => void>();
  #state = secagg.newServer();
  #session: ToAgent | undefined;
  #logSeen: number;

  constructor(options: SecureSessionOptions) {
    this.#options = options;
    const { runId, round = 0, log } = options;
    this.runId = runId as RunId;
    this.round = round;
    this.#logSeen = options.logSeen;
    const head = log?.head ?? { size: 1, root: hashBytes('the only entry of the log') };
    const loaded = { baseHash: hashBytes('model'), adapterHash: hashBytes('adapter'), layoutHash: hashBytes('layout') };
    const zeros = new Uint8Array(32);
    const { secure } = spec.aggregation;
    const offer: secagg.BodyInit<'offer'> = {
      roundId: zeros,
      sessionId: zeros,
      index: secagg.noPlace,
      runId: Buffer.from(runId.slice(2), 'hex'),
      round: this.round,
      previousResult: loaded.adapterHash,
      logSize: BigInt(head.size),
      logRoot: head.root,
      specHash: Buffer.from(hashRunSpec(spec), 'hex'),
      ...loaded,
      ...offered,
      minMembers: 3,
      maxMembers: 3,
      ...secureSizes(secure),
      smallestSurvivors: secure.smallestSurvivors,
      beacons: [],
      deadlines: { advertMs: 60_000, sharesMs: 60_000, inputMs: 60_000, cutAckMs: 60_000, openingMs: 60_000 },
    };
    const directory = new Map(
      this.#keys().map((identityKey) => [
        Buffer.from(secagg.nodeIdOf(identityKey)).toString('hex'),
        { identityKey, trusted: true },
      ]),
    );
    this.#server = { offer, loaded, directory, invited: 3 };
    for (const identity of this.#others)
      this.#sides.set(identity, { options: this.#optionsOf(identity), state: secagg.newNode() });
  }

  /** As an earlier process of the agent left it. */
  leaveUpdate(pending: PendingUpdates): Promise<PendingUpdate> {
    const update = this.#updateOf(this.#options.node);
    const facts = { runName: spec.name, spec, clipNormL2: spec.aggregation.clipNormL2, normL2: 0.5, trainingMs: 1 };
    return pending.save({ update, ...facts }, payload);
  }

  /** Begins, and takes what the agent says from now on with `take`. */
  begin(session: ToAgent): void {
    this.#session = session;
    this.#serve({ kind: 'begin' });
  }

  /** The agent came back and says how much of the log it has seen: it is told again what it may have missed. */
  greet(session: ToAgent, logSeen: number): void {
    this.#session = session;
    this.#logSeen = logSeen;
    const { publicKey } = this.#options.node;
    const place = this.#state.session?.members.findIndex(({ identityKey }) => publicKey === identityKey) ?? -1;
    const own = [secagg.receiptTo, secagg.messageTo].map((said) => said(this.#server, this.#state, place));
    for (const message of [...secagg.messagesToAll(this.#server, this.#state), ...own])
      if (message) this.#send(publicKey, message);
  }

  take(message: SecureMessage): void {
    const { runId, name, body, signature } = message;
    if (runId !== this.#options.runId) return;
    this.heard.push(name);
    this.bodies.set(name, (this.bodies.get(name) ?? new Set()).add(Buffer.from(body).toString('hex')));
    this.#arrive(name as secagg.BodyName, { body, signature });
    for (const look of this.#waiting) look();
  }

  /** Resolves when this of the agent has come. */
  said(name: secagg.BodyName): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.heard.includes(name)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Whatever it is, signed by the coordinator. */
  tellAgent(message: Told): void {
    this.#session!.say({
      case: 'secure',
      value: {
        runId: this.#options.runId,
        round: this.round,
        ...message,
        ...(message.name === 'offer' && {
          memberKeys: this.#keys(),
          memberEndorsements: this.#keys().map(() => new Uint8Array()),
          proofFrom: BigInt(this.#logSeen),
        }),
      },
    });
  }

  sign(name: string, body: Uint8Array): Told {
    const signature = this.#options.coordinator.sign(secagg.signedMessage(body));
    return { name, body, signature, proof: new Uint8Array() };
  }

  #keys(): Uint8Array[] {
    return [this.#options.node, ...this.#others].map(({ publicKey }) => publicKey);
  }

  #optionsOf(identity: Identity): secagg.NodeOptions {
    const { coordinator } = this.#options;
    const federation = { coordinatorKey: coordinator.publicKey, federationId: toFederationId(coordinator.publicKey) };
    const body = parseBody(UpdateSchema, this.#updateOf(identity).body);
    return {
      knowledge: knowledgeOf({
        update: { spec, body, clipNormL2: spec.aggregation.clipNormL2 } as PendingUpdate,
        federation: federation as Federation,
        identity,
        memberKeys: this.#keys(),
        memberEndorsements: [],
        beganS: 0,
        lastRound: -1,
        checkpoint: { size: 0, root: new Uint8Array(32) },
        policy: checkPolicy(sessionPolicy, 'the session'),
      }),
      sign: (message) => identity.sign(message),
    };
  }

  #updateOf(identity: Identity): Envelope {
    const body = {
      runId: this.#options.runId,
      round: this.round,
      nodeId: toNodeId(identity.publicKey),
      baseModelSha256: sha256('model'),
      layoutSha256: sha256('layout'),
      previousAdapterSha256: sha256('adapter'),
      factor: Factor.B,
      payloadSha256: sha256(payload),
      payloadBytes: BigInt(payload.length),
      ringBits: offered.bits,
      values: BigInt(values),
      weight: 1n,
    };
    return sealEnvelope(domains.update, UpdateSchema, create(UpdateSchema, body), identity);
  }

  #serve(event: secagg.ServerEvent): void {
    const step = secagg.stepServer(this.#server, this.#state, event, 0);
    this.#state = step.state;
    for (const effect of step.effects) {
      if (effect.kind === 'sendToAll') for (const key of this.#keys()) this.#send(key, effect);
      if (effect.kind === 'send') this.#send(this.#state.session!.members[effect.place]!.identityKey, effect);
    }
  }

  #send(key: Uint8Array, { name, body, proof }: secagg.ServerMessage): void {
    const identity = this.#others.find(({ publicKey }) => Buffer.from(key).equals(publicKey));
    const signed = this.sign(name, body);
    if (identity !== undefined) return this.#tellMember(identity, signed, proof);
    const { log } = this.#options;
    const continuing = name === 'offer' && log?.proofFrom(this.#logSeen);
    const said = {
      ...signed,
      ...(proof && { proof: secagg.encode(secagg.cutProofLayout, proof) }),
      ...(continuing && { proof: secagg.encode(secagg.logProofLayout, { proof: [...continuing] }) }),
    };
    for (const message of this.#options.tell?.(said) ?? [said]) this.tellAgent(message);
  }

  #tellMember(identity: Identity, { name, body, signature }: Told, proof: secagg.ServerMessage['proof']): void {
    const signed = { body, signature };
    if (name === 'offer') this.#stepMember(identity, { kind: name, signed, consistency: [] });
    if (name === 'roster' || name === 'shareDelivery' || name === 'unmask')
      this.#stepMember(identity, { kind: name, body });
    if (name === 'cut') this.#stepMember(identity, { kind: name, signed, proof: proof! });
  }

  #stepMember(identity: Identity, event: secagg.NodeEvent): void {
    const side = this.#sides.get(identity)!;
    const step = secagg.stepNode(side.options, side.state, event, 0, (length) =>
      Buffer.alloc(length, identity.publicKey),
    );
    side.state = step.state;
    for (const effect of step.effects) {
      if (effect.kind === 'aborted') throw new Error(`a member ended: ${effect.reason}`);
      // Nobody adds these up: any root does.
      if (effect.kind === 'mask')
        this.#stepMember(identity, { kind: 'masked', chunkRoot: hashBytes('chunks'), lengthBytes: payload.length });
      // In a later turn: the machine is in the middle of a step.
      if (effect.kind === 'send') queueMicrotask(() => this.#arrive(effect.name, effect.signed));
    }
  }

  #arrive(name: secagg.BodyName, signed: secagg.Signed): void {
    if (name === 'maskedInput') this.#serve({ kind: name, signed, loggedByMs: BigInt(Date.now() + 60_000) });
    if (name === 'keyAdvert' || name === 'shares' || name === 'cutAck' || name === 'opening')
      this.#serve({ kind: name, signed });
  }
}

/** For whatever was uploaded whole. */
export const receiptOf = (update: Envelope, coordinator: Identity): Envelope => {
  const { runId, round, nodeId, payloadSha256 }: Update = parseBody(UpdateSchema, update.body);
  const federationId = toFederationId(coordinator.publicKey);
  const updateSha256 = sha256(update.body);
  return sealEnvelope(
    domains.receipt,
    ReceiptSchema,
    { federationId, runId, round, nodeId, payloadSha256, updateSha256, acceptedAtMs: BigInt(Date.now()) },
    coordinator,
  );
};
