import type { RunSpec } from '@weft/shared';
import type { Policy } from './policy.ts';

/** What a node can tell of its work beside the update, and the fields in which it leaves. */
export const metrics = {
  speed: 'Progress.tokens_per_second',
  'training-time': 'Ready.training_ms',
  'held-out-loss': 'Evaluation.loss_sum, Evaluation.tokens',
  clipping: 'Update.clipped, Update.saturated_values',
} as const satisfies Readonly<Record<string, string>>;

export type Metric = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as [Metric, ...Metric[]];

/** A loss over few records, or under a model that somebody made for it, tells of single ones: it takes an operator's word. */
export const defaultMetrics = metricNames.filter((name) => name !== 'held-out-loss');

/** With noise none leaves, whatever the policy says: each would be a release of its own, without noise. */
export const allowedMetrics = (policy: Pick<Policy, 'metrics'>, spec: RunSpec): ReadonlySet<Metric> =>
  new Set(spec.privacy !== undefined || policy.metrics === 'none' ? [] : policy.metrics);

/** How much of its records a node holds back: a share of its own, the same in every run, or none where no score may leave. */
export const heldBackShare = (policy: Pick<Policy, 'metrics' | 'heldOutShare'>, spec: RunSpec): number =>
  spec.evaluation.heldOutShare > 0 && allowedMetrics(policy, spec).has('held-out-loss') ? policy.heldOutShare : 0;
