import { isKeptByGate, lossOf, type GateScore } from '../evaluation-gate.ts';
import { clipNormFollows } from '../privacy/adaptive-clip.ts';
import { maxShardMembers } from '../secagg/sizes.ts';
import { floatOfBits, type Leaf } from './leaves.ts';

/** One thing that was looked at. `entry` and `party` say where it breaks and who is at fault. */
export interface Finding {
  readonly verdict: 'holds' | 'fails' | 'warning' | 'not checked';
  readonly claim: string;
  readonly entry?: number;
  readonly party?: string;
  readonly runId?: string;
}

type LeafOf<N extends Leaf['name']> = Extract<Leaf, { name: N }>;
type RoundLeaf = Exclude<Leaf, { name: 'enrol' | 'revoke' | 'rollback' }>;

interface OpenRound {
  readonly offer: LeafOf<'offer'>;
  roster?: LeafOf<'roster'>;
  cut?: LeafOf<'cut'>;
  open?: LeafOf<'open'>;
  gate?: LeafOf<'gate'>;
}

interface Run {
  readonly first: LeafOf<'offer'>;
  lastRound: number;
  adapter: string;
  results: number;
  rollbacks: number;
  /** Each adapter that the run made, with the one that it was made from. */
  readonly from: Map<string, string | undefined>;
  /** What its last result named as the next clip norm; undefined before the first. */
  clipNorm?: bigint;
  current?: OpenRound | undefined;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const secure = 1;
const nobody = '0'.repeat(64);

/** Walks the leaves from the first on and holds each against those before it: what follows from them, and what cannot. */
export class LeafWalk {
  readonly runs = new Map<string, Run>();
  /** By name, with the organisation that signed for it. */
  readonly #enrolled = new Map<string, string>();

  take(leaf: Leaf, entry: number): Finding[] {
    if (leaf.name === 'enrol' || leaf.name === 'revoke') return this.#membership(leaf, entry);
    const runId = `r_${hex(leaf.runId)}`;
    if (leaf.name === 'rollback') return [this.#rollBack(leaf, runId, entry)];
    const wrong = leaf.name === 'offer' ? this.#offer(leaf, runId) : this.#ofRound(leaf, runId);
    if (wrong !== undefined) return [{ verdict: 'fails', claim: wrong, entry, party: 'the coordinator', runId }];
    if (leaf.name !== 'result' && leaf.name !== 'abort') return [];
    const run = this.runs.get(runId)!;
    const { offer, roster, cut, gate } = run.current!;
    run.current = undefined;
    const judged = gate === undefined ? '' : `; the gate’s loss went ${lossesOf(gate)}`;
    if (leaf.name === 'abort') {
      const claim = `round ${leaf.round + 1} was given up (${printable(leaf.code)}); the adapter stayed${judged}`;
      return [{ verdict: 'holds', claim, entry, runId }];
    }
    run.adapter = hex(leaf.adapterHash);
    run.from.set(run.adapter, hex(leaf.previousAdapter));
    run.clipNorm = leaf.nextClipNorm;
    run.results++;
    const how = offer.mode === secure ? 'secure' : 'plain';
    const claim = `round ${leaf.round + 1} (${how}): ${leaf.updates} updates of a cohort of ${roster!.members}, weight ${leaf.weightSum}, lead from adapter ${hex(leaf.previousAdapter)} to ${run.adapter}${judged === '' ? '; no gate' : judged}${leaf.nextClipNorm === 0n ? '' : `; clipped to ${floatOfBits(leaf.nextClipNorm)} from here on`}`;
    const missing = (cut?.surviving ?? leaf.updates) - leaf.updates;
    const leftOut: Finding = {
      verdict: 'warning',
      claim: `${missing} of the ${cut?.surviving} survivors of round ${leaf.round + 1} are not in its sum: shards that were not opened, or that a test of their sum refused`,
      entry,
      runId,
    };
    return [{ verdict: 'holds', claim, entry, runId }, ...(missing > 0 ? [leftOut] : [])];
  }

  #membership(leaf: LeafOf<'enrol' | 'revoke'>, entry: number): Finding[] {
    const node = hex(leaf.node);
    const enrols = leaf.name === 'enrol';
    const known = this.#enrolled.get(node);
    // an enrolled node is enrolled again where an organisation signed for it since
    const isNews = enrols
      ? known === undefined || ![known, nobody].includes(hex(leaf.organisation))
      : known !== undefined;
    if (!isNews) {
      const claim = `node ${node} ${enrols ? 'was enrolled already' : 'is revoked and was not enrolled'}`;
      return [{ verdict: 'fails', claim, entry, party: 'the coordinator' }];
    }
    if (leaf.name === 'enrol') this.#enrolled.set(node, hex(leaf.organisation));
    else this.#enrolled.delete(node);
    return [];
  }

  /** Between rounds, from where the run is to something that it made itself: nothing else may change its adapter. */
  #rollBack(leaf: LeafOf<'rollback'>, runId: string, entry: number): Finding {
    const run = this.runs.get(runId);
    const [from, to] = [hex(leaf.previousAdapter), hex(leaf.adapterHash)];
    const fails = (claim: string): Finding => ({ verdict: 'fails', claim, entry, party: 'the coordinator', runId });
    if (run === undefined) return fails(`a run that has begun no round is rolled back to ${to}`);
    if (run.current !== undefined)
      return fails(`the run is rolled back while round ${run.current.offer.round + 1} has no end`);
    if (from !== run.adapter) return fails(`the run is rolled back from adapter ${from}, its own is ${run.adapter}`);
    if (!run.from.has(to)) return fails(`the run is rolled back to adapter ${to}, which it never had`);
    if (leaf.nextClipNorm !== (run.clipNorm ?? 0n))
      return fails(`the run is rolled back with the clip norm ${floatOfBits(leaf.nextClipNorm)}, which is not its own`);
    run.adapter = to;
    run.rollbacks++;
    return {
      verdict: 'holds',
      claim: `the run was rolled back from adapter ${from} to its earlier ${to}`,
      entry,
      runId,
    };
  }

  /** Whether the run made this adapter and then went back behind it. */
  isWithdrawn(runId: string, adapter: string): boolean {
    const run = this.runs.get(runId);
    if (run === undefined || !run.from.has(adapter)) return false;
    const passed = new Set<string>();
    for (let at: string | undefined = run.adapter; at !== undefined && !passed.has(at); at = run.from.get(at))
      passed.add(at);
    return !passed.has(adapter);
  }

  /** The organisation, in hex, that stands for an enrolled node; undefined for one that is not, or no more. */
  organisationOf(node: Uint8Array): string | undefined {
    return this.#enrolled.get(hex(node));
  }

  /** How many nodes, and how many organisations are said to stand for them. */
  *membership(): Iterable<Finding> {
    const words = [...this.#enrolled.values()].filter((organisation) => organisation !== nobody);
    yield { verdict: 'holds', claim: `${this.#enrolled.size} nodes are enrolled and not revoked` };
    // A leaf names the node by a hash: the signature could not be verified by it.
    if (words.length > 0)
      yield {
        verdict: 'not checked',
        claim: `that ${words.length} of them are in the name of ${new Set(words).size} organisations is the coordinator's word here; each node checks the signatures of those that it sums with, and those of witnesses are checked: no access`,
      };
  }

  /** @returns what is wrong with it */
  #offer(leaf: LeafOf<'offer'>, runId: string): string | undefined {
    const run = this.runs.get(runId);
    const before = run?.current;
    if (run === undefined) {
      const adapter = hex(leaf.adapterHash);
      const from = new Map([[adapter, undefined]]);
      const run = { first: leaf, lastRound: leaf.round, adapter, results: 0, rollbacks: 0, from };
      this.runs.set(runId, { ...run, current: { offer: leaf } });
      return undefined;
    }
    const { lastRound, adapter, first } = run;
    run.current = { offer: leaf };
    run.lastRound = Math.max(lastRound, leaf.round);
    if (before !== undefined) return `round ${leaf.round + 1} begins while round ${before.offer.round + 1} has no end`;
    if (leaf.round <= lastRound) return `round ${leaf.round + 1} begins after round ${lastRound + 1}`;
    if (hex(leaf.adapterHash) !== adapter)
      return `round ${leaf.round + 1} begins with adapter ${hex(leaf.adapterHash)}, the result before it is ${adapter}`;
    const changed = (['specHash', 'baseHash', 'layoutHash', 'gateData'] as const).find(
      (name) => !same(leaf[name], first[name]),
    );
    const other = changed ?? (['mode', 'gateIncrease'] as const).find((name) => leaf[name] !== first[name]);
    if (other !== undefined) return `round ${leaf.round + 1} offers another ${other} than the run began with`;
    return undefined;
  }

  /** @returns what is wrong with it */
  #ofRound(leaf: Exclude<RoundLeaf, LeafOf<'offer'>>, runId: string): string | undefined {
    const run = this.runs.get(runId);
    const current = run?.current;
    if (current === undefined || current.offer.round !== leaf.round)
      return `${leaf.name} of round ${leaf.round + 1} without an offer of that round`;
    const { offer, roster, cut, open, gate } = current;
    switch (leaf.name) {
      case 'roster':
        current.roster = leaf;
        if (roster !== undefined) return `a second roster of round ${leaf.round + 1}`;
        return leaf.members > this.#enrolled.size
          ? `a cohort of ${leaf.members} where ${this.#enrolled.size} nodes are enrolled`
          : undefined;
      case 'cut':
        current.cut = leaf;
        if (cut !== undefined) return `a second cut of round ${leaf.round + 1}: two cuts can open one member’s update`;
        return roster === undefined || leaf.surviving + leaf.dropped > roster.members
          ? `a cut of ${leaf.surviving} and ${leaf.dropped} members in a cohort of ${roster?.members ?? 0}`
          : undefined;
      case 'open':
        current.open = leaf;
        return cut === undefined || open !== undefined || !same(cut.cutHash, leaf.cutHash)
          ? `round ${leaf.round + 1} opens another cut than the one that the log holds`
          : undefined;
      case 'result':
        if (!same(leaf.previousAdapter, offer.adapterHash))
          return `the result of round ${leaf.round + 1} starts from adapter ${hex(leaf.previousAdapter)}, the offer from ${hex(offer.adapterHash)}`;
        if (roster === undefined) return `the result of round ${leaf.round + 1} has no cohort`;
        if (offer.mode === secure && (cut === undefined || open === undefined))
          return `the result of round ${leaf.round + 1} is of a sum that no cut opened`;
        if (hasGate(offer) !== (leaf.gate === 1))
          return `the result of round ${leaf.round + 1} ${hasGate(offer) ? 'passed no gate, and the run has one' : 'names a gate, and the run has none'}`;
        if (hasGate(offer) && (gate?.passed !== 1 || !same(gate.adapterHash, leaf.adapterHash)))
          return `the result of round ${leaf.round + 1} is an adapter that the gate ${gate === undefined ? 'never saw' : gate.passed === 1 ? 'passed another one for' : 'refused'}`;
        // A shard may be left out whole; of one session nobody is.
        if (cut !== undefined && roster.members <= maxShardMembers && leaf.updates < cut.surviving)
          return `the result of round ${leaf.round + 1} adds ${leaf.updates} updates, and its cut names ${cut.surviving} survivors of one session`;
        if (leaf.updates > (cut?.surviving ?? roster.members))
          return `the result of round ${leaf.round + 1} adds ${leaf.updates} updates, its cohort has ${cut?.surviving ?? roster.members}`;
        return isNextClipNorm(run?.clipNorm, leaf.nextClipNorm)
          ? undefined
          : `the result of round ${leaf.round + 1} moves the clip norm from ${run?.clipNorm === undefined ? 'nothing' : floatOfBits(run.clipNorm)} to ${floatOfBits(leaf.nextClipNorm)}, which no round does`;
      case 'gate': {
        current.gate = leaf;
        if (!hasGate(offer) || roster === undefined || gate !== undefined)
          return `round ${leaf.round + 1} has a verdict of a gate that is not due`;
        const passes = isKeptByGate(scoresOf(leaf), floatOfBits(offer.gateIncrease));
        return passes === (leaf.passed === 1)
          ? undefined
          : `the gate of round ${leaf.round + 1} ${passes ? 'refused' : 'passed'} an adapter whose loss went ${lossesOf(leaf)}, an increase of ${floatOfBits(offer.gateIncrease)} is allowed`;
      }
      case 'abort':
        return undefined;
    }
  }
}

/**
 * A run adapts its clip norm in each round or in none. What the first round began with stands in the spec, which is no part
 * of the leaves.
 */
function isNextClipNorm(before: bigint | undefined, next: bigint): boolean {
  const norm = floatOfBits(next);
  if (next === 0n || before === 0n) return next === (before ?? 0n);
  return before === undefined ? Number.isFinite(norm) && norm > 0 : clipNormFollows(floatOfBits(before), norm, 1);
}

const hasGate = ({ gateData }: LeafOf<'offer'>): boolean => hex(gateData) !== nobody;

const scoresOf = ({ lossSumBefore, lossSumAfter, tokens }: LeafOf<'gate'>) => {
  const score = (bits: bigint): GateScore => ({ lossSum: floatOfBits(bits), tokens: Number(tokens) });
  return { before: score(lossSumBefore), after: score(lossSumAfter) };
};

const lossesOf = (gate: LeafOf<'gate'>): string => {
  const { before, after } = scoresOf(gate);
  return `from ${lossOf(before)?.toFixed(4) ?? 'no number'} to ${lossOf(after)?.toFixed(4) ?? 'no number'}`;
};

/** Nothing of a foreign log reaches a terminal unread. */
const printable = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^\w .-]/g, '?');
