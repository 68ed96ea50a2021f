import type { Evaluation } from '@weft/proto';
import type { AdapterLayout } from '@weft/shared';
import { evaluate, type Device, type Example, type Model } from '@weft/trainer';
import type { NodeEvent } from '../events.ts';
import { refusalOfHeldOut } from '../policy/local-rules.ts';
import type { Policy } from '../policy/policy.ts';
import { refuse } from '../policy/refuse.ts';
import type { AnsweredRounds } from './answered-rounds.ts';
import type { LocalExamples } from './local-data.ts';
import type { Offer } from './offer.ts';
import type { ProgressReport } from './progress-report.ts';

export interface AdapterToScore {
  readonly offer: Offer;
  readonly model: Model;
  readonly layout: AdapterLayout;
  readonly adapter: Float32Array;
  readonly examples: LocalExamples;
}

export interface ScoreContext {
  readonly policy: Policy;
  readonly answered: AnsweredRounds;
  readonly threads: number;
  readonly device: Device;
  readonly emit: (event: NodeEvent) => void;
}

export interface Scored {
  readonly body: Evaluation;
  readonly seconds: number;
}

/**
 * The loss of an offered adapter on what is held back: measured once in a run, and said again where it is asked for again,
 * whatever else the coordinator has changed by then.
 * @returns undefined where too few records are held back and the offer asks for training besides
 * @throws WEFT_POLICY_REFUSED where a score is all that it asks for, or where it scored enough adapters
 */
export async function scoreAdapter(
  { offer, examples, ...loaded }: AdapterToScore,
  context: ScoreContext,
  report: ProgressReport,
  signal: AbortSignal,
): Promise<Scored | undefined> {
  const tooFew = refusalOfHeldOut(context.policy, examples.heldOutRecords);
  if (offer.kind === 'evaluate') refuse(tooFew);
  if (tooFew !== undefined) return undefined;
  const startedMs = performance.now();
  const { lossSum, tokens } = await context.answered.score(offer, offer.adapter.sha256, () =>
    measure({ offer, heldOut: examples.heldOut, ...loaded }, context, report, signal),
  );
  const { runId, round, adapter } = offer;
  const body = { runId, round, adapterSha256: adapter.sha256, lossSum, tokens: BigInt(tokens) };
  return { body: { $typeName: 'weft.v1.Evaluation', ...body }, seconds: (performance.now() - startedMs) / 1000 };
}

async function measure(
  {
    offer: { runId, round, spec },
    heldOut,
    ...loaded
  }: Omit<AdapterToScore, 'examples'> & { readonly heldOut: readonly Example[] },
  { threads, device, emit }: ScoreContext,
  report: ProgressReport,
  signal: AbortSignal,
): Promise<{ lossSum: number; tokens: number }> {
  report('evaluating', 0, heldOut.length);
  emit({ event: 'evaluating', runId, round, examples: heldOut.length });
  const startedMs = performance.now();
  const { batchSize } = spec.training;
  const { lossSum, tokens } = await evaluate({ ...loaded, examples: heldOut, batchSize, threads, device, signal });
  const seconds = (performance.now() - startedMs) / 1000;
  emit({ event: 'evaluated', runId, round, loss: lossSum / tokens, tokens, seconds });
  return { lossSum, tokens };
}
