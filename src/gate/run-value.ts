/**
 * A run as one number for one threshold. In: the run, a metric and how its samples become one. Out: the number, what it is at
 * least (a percentile among requests that were never seen to end), or why there is none; never a number that is none.
 */
import { isDistribution, isScalar, type MetricValue, type RunResult } from '../result/schema.ts';
import { isPercentile, leastSamples } from './aggregation.ts';
import type { Threshold } from './threshold.ts';

export type RunValue =
  | { kind: 'value'; value: number }
  | { kind: 'at least'; value: number }
  | { kind: 'none'; why: string }
  /** NaN or infinite: what gave it can't be trusted in anything. */
  | { kind: 'broken'; why: string };

export function runValue(run: RunResult, { metric: name, aggregation }: Threshold): RunValue {
  const metric: MetricValue | undefined = run.metrics[name];
  if (metric === undefined) return { kind: 'none', why: `${name} is not in the result` };
  if (isScalar(metric)) return aggregation === null ? numberOf(metric.value, name) : wrongShape(name, aggregation);
  if (!isDistribution(metric)) return { kind: 'none', why: `${name} is unavailable: ${metric.reason}` };
  if (aggregation === null) return wrongShape(name, 'one number');
  if (!isPercentile(aggregation)) {
    // A mean is of what was seen; with samples that were not, the true one is higher.
    const mean = numberOf(metric.mean, name);
    return mean.kind === 'value' && metric.censored > 0 ? { kind: 'at least', value: mean.value } : mean;
  }
  const least = leastSamples(aggregation);
  if (!(metric.count >= least)) {
    return {
      kind: 'none',
      why: `${metric.count} samples are too few for ${name}.${aggregation}, which takes ${least}`,
    };
  }
  const percentile = metric[aggregation];
  if (typeof percentile === 'number') return numberOf(percentile, `${name}.${aggregation}`);
  const bound = numberOf(percentile.gt, `${name}.${aggregation}`);
  return bound.kind === 'value' ? { kind: 'at least', value: bound.value } : bound;
}

const numberOf = (value: number, name: string): RunValue =>
  Number.isFinite(value)
    ? { kind: 'value', value }
    : { kind: 'broken', why: `${name} is ${value}, which is no number` };

const wrongShape = (name: string, asked: string): RunValue => ({
  kind: 'broken',
  why: `${name} in the result has no ${asked}`,
});
