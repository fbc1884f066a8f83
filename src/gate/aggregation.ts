/** How the samples of a run become the one number by which runs are compared. In: the end of a metric's name. Out: which. */
import type { Percentile } from '../result/schema.ts';

export type Aggregation = 'mean' | Percentile;

const SHARES: Readonly<Record<Percentile, number>> = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 };

export const AGGREGATIONS: readonly Aggregation[] = ['mean', ...(Object.keys(SHARES) as Percentile[])];

export const isAggregation = (text: string): text is Aggregation => (AGGREGATIONS as readonly string[]).includes(text);

export const isPercentile = (aggregation: Aggregation | null): aggregation is Percentile =>
  aggregation !== null && aggregation !== 'mean';

/**
 * Samples from which on a percentile is more than the largest of them: so many that the largest lies above the true one in all
 * but a share `tail` of the cases (p^n <= tail). At 5%: 5 for a p50, 29 for p90, 59 for p95, 299 for p99, 2,995 for p99.9.
 */
export const leastSamples = (percentile: Percentile, tail = 0.05): number =>
  Math.ceil(Math.log(tail) / Math.log(SHARES[percentile]) - 1e-9);
