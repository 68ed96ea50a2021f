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

/** With noise none leaves, whatever the policy says: each would be a release of its own, without noise. */
export const allowedMetrics = (policy: Pick<Policy, 'metrics'>, spec: RunSpec): ReadonlySet<Metric> =>
  new Set(spec.privacy !== undefined || policy.metrics === 'none' ? [] : policy.metrics);
