import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAdapterLayout,
  isWeftError,
  parseRunSpec,
  sha256,
  type AdapterLayout,
  type LayoutDimensions,
  log,
  type RunId,
  type RunSpec,
  type Sha256,
} from '@weft/shared';
import { initAdapter } from '@weft/trainer';
import { encodeAdapter } from '../adapters/adapter-file.ts';
import { createAggregator } from '../aggregation/aggregator.ts';
import type { AggregateContext } from '../runs/aggregate-round.ts';
import { openRunBlobs } from '../runs/run-blobs.ts';
import type { BlobInfo } from '../store/events.ts';
import { coordinator, hex, NotThere, readBody, Refuted, type ReadPublished } from './evidence.ts';
import { recomputeRound } from './recompute-round.ts';
import type { Placed, SecureRoundLeaves } from './replay-session.ts';

export interface RecomputeOptions {
  readonly read: ReadPublished;
  /** The base model, where it is at hand: its hash, and what its config says. */
  readonly model?: { readonly sha256: Sha256; readonly dimensions: LayoutDimensions } | undefined;
  /** Milliseconds since 1970: whether a window is over. */
  readonly now: number;
}

type FirstOffer = Placed<'offer'>;

/** Everything of one run that public data give again: its first adapter, and each round that publishes its inputs. */
export async function* recomputeRun(
  { runId, leaves }: log.LoggedRun,
  options: RecomputeOptions,
): AsyncGenerator<log.Finding> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-audit-'));
  const aggregator = createAggregator();
  try {
    const blobs = await openRunBlobs(folder);
    const context: AggregateContext = { blobs, aggregator, clock: { now: () => options.now }, onPoint: () => {} };
    const first = leaves.find(({ leaf }) => leaf.name === 'offer') as FirstOffer | undefined;
    if (first === undefined) return;
    const opened = yield* guard(openSpec(first, options.read), 'what its rounds were told to do', runId);
    if (opened === undefined) return;
    const { spec } = opened;
    const layout = yield* checkFirstAdapter(first, spec, options, runId);
    const firstAdapter = hex(first.leaf.adapterHash);
    yield* recomputeRounds({ runId, spec, firstAdapter, rounds: roundsOf(leaves), layout, context, options });
  } finally {
    await aggregator.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is refuted or missing becomes a finding, and the rest that rests on it is left out. */
async function* guard<T>(work: Promise<T>, claim: string, runId: RunId): AsyncGenerator<log.Finding, T | undefined> {
  try {
    return await work;
  } catch (error) {
    yield findingOf(error, claim, runId);
    return undefined;
  }
}

function findingOf(error: unknown, claim: string, runId: RunId): log.Finding {
  if (error instanceof Refuted) return { ...error.finding, runId };
  if (error instanceof NotThere)
    return { verdict: 'not checked', claim: `${claim}: no access to ${error.message}`, runId };
  if (!isWeftError(error)) throw error;
  return { verdict: 'fails', claim: `${claim}: ${error.message}`, party: coordinator, runId };
}

async function openSpec({ leaf, entry }: FirstOffer, read: ReadPublished): Promise<{ spec: RunSpec }> {
  const bytes = await readBody(read, hex(leaf.specHash) as Sha256, { what: 'the run spec', entry });
  let input: unknown;
  try {
    input = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new Refuted({ claim: 'the run spec that the log names is not JSON', entry, party: coordinator });
  }
  const spec = parseRunSpec(input);
  if (spec.baseModel.sha256 !== hex(leaf.baseHash))
    throw new Refuted({ claim: 'the run spec names another base model than the log', entry, party: coordinator });
  return { spec };
}

/** @returns the layout, where the base model is at hand and is the one of the run */
async function* checkFirstAdapter(
  { leaf, entry }: FirstOffer,
  spec: RunSpec,
  { model }: RecomputeOptions,
  runId: RunId,
): AsyncGenerator<log.Finding, AdapterLayout | undefined> {
  const claim = `that the first adapter, ${hex(leaf.adapterHash)}, follows from the run’s seed`;
  if (model === undefined || model.sha256 !== spec.baseModel.sha256) {
    const why =
      model === undefined
        ? 'name it with --model'
        : `--model names ${model.sha256}, the run’s is ${spec.baseModel.sha256}`;
    yield { verdict: 'not checked', claim: `${claim}: no access to the base model, ${why}`, entry, runId };
    return undefined;
  }
  const layout = createAdapterLayout(model.dimensions, spec.adapter);
  const fails = (what: string): log.Finding => ({ verdict: 'fails', claim: what, entry, party: coordinator, runId });
  if (layout.sha256 !== hex(leaf.layoutHash)) {
    yield fails(`the layout is ${hex(leaf.layoutHash)} in the log, spec and base model give ${layout.sha256}`);
    return undefined;
  }
  const due = sha256(await encodeAdapter(layout, initAdapter(layout, spec.seed), spec.baseModel));
  yield due === hex(leaf.adapterHash)
    ? { verdict: 'holds', claim: `the first adapter, ${due}, follows from the run’s seed ${spec.seed}`, entry, runId }
    : fails(`the first adapter is ${hex(leaf.adapterHash)} in the log, the run’s seed ${spec.seed} gives ${due}`);
  return layout;
}

interface Rounds {
  readonly runId: RunId;
  readonly spec: RunSpec;
  readonly firstAdapter: string;
  readonly rounds: readonly Partial<SecureRoundLeaves>[];
  readonly layout: AdapterLayout | undefined;
  readonly context: AggregateContext;
  readonly options: RecomputeOptions;
}

async function* recomputeRounds({
  runId,
  spec,
  firstAdapter,
  rounds,
  layout,
  context,
  options,
}: Rounds): AsyncGenerator<log.Finding> {
  const { publishInputs, auditDays } = spec.aggregation.secure;
  if (!publishInputs) {
    const unseen = ['that the updates add up to the results', 'who the members were'];
    for (const claim of unseen)
      yield { verdict: 'not checked', claim: `${claim}: no access, the run does not publish its inputs`, runId };
    return;
  }
  const hasMomentum = spec.aggregation.server.optimizer === 'fedavgm';
  // A run may go back to an earlier version, and then to the momentum that it had.
  const momentumOf = new Map<string, BlobInfo | undefined>([[firstAdapter, undefined]]);
  const adapts = spec.privacy?.adaptiveClipping === true;
  let nextNorm = spec.aggregation.clipNormL2;
  for (const leaves of rounds) {
    const clipNormL2 = nextNorm;
    if (adapts && leaves.result) nextNorm = log.floatOfBits(leaves.result.leaf.nextClipNorm);
    if (!isSecureRound(leaves)) continue;
    const { leaf, entry } = leaves.result;
    const claim = `round ${leaf.round + 1}: that the updates add up to the result`;
    const before = hex(leaf.previousAdapter);
    if (hasMomentum && layout !== undefined && !momentumOf.has(before)) {
      const why = 'no access to the optimizer’s momentum, which follows from the rounds before';
      yield { verdict: 'not checked', claim: `${claim}: ${why}`, entry, runId };
      continue;
    }
    try {
      const momentum = momentumOf.get(before);
      const round = { runId, spec, leaves, read: options.read, layout, momentum, context, clipNormL2 };
      const after = yield* recomputeRound(round);
      momentumOf.set(hex(leaf.adapterHash), after);
    } catch (error) {
      const isOver = Number(leaf.at) + auditDays * 24 * 3600 * 1000 <= options.now;
      const finding = findingOf(error, claim, runId);
      yield error instanceof NotThere && isOver
        ? { ...finding, claim: `${finding.claim}, its window of ${auditDays} days is over`, entry }
        : { entry, ...finding };
    }
  }
}

const isSecureRound = (leaves: Partial<SecureRoundLeaves>): leaves is SecureRoundLeaves =>
  (['offer', 'roster', 'cut', 'open', 'result'] as const).every((name) => leaves[name] !== undefined);

/** The leaves of each round that brought a result, in their order. */
function roundsOf(leaves: log.LoggedRun['leaves']): Partial<SecureRoundLeaves>[] {
  const rounds: Partial<SecureRoundLeaves>[] = [];
  let current: Record<string, unknown> = {};
  for (const placed of leaves) {
    if (placed.leaf.name === 'offer') current = {};
    current[placed.leaf.name] = placed;
    if (placed.leaf.name === 'result') rounds.push(current);
  }
  return rounds;
}
