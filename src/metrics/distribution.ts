/**
 * Samples to a Distribution, right-censoring included.
 *
 * In: observed values, how often each counts, and lower bounds of values that were never seen because their request
 * failed or was cancelled. Out: percentiles (nearest rank over all of them), moments, an HDR histogram.
 *
 * A sample that was never seen ranks above every seen one, whatever its bound: a server that fails fast must not look
 * fast, so no percentile is computed from survivors. One that falls among the unseen is `{gt: x}`, where x is the least
 * it can be: the same rank among all samples with each unseen one at its bound. Mean, std and min are of what was
 * observed, and `censored` says how much that leaves out. The histogram holds observed values only.
 */
import { type Digits, HdrHistogram, RUN_DIGITS } from '../recorder/histogram.ts';
import type { Bounded, Distribution, Unavailable } from '../result/schema.ts';
import { moments } from '../stats/moments.ts';
import { rankOf, weightedRank } from '../stats/nearest-rank.ts';
import { unavailable } from './metric.ts';

export interface Samples {
  /** Nanoseconds, or whatever the unit is. */
  values: number[];
  /** How often each value counts; once each when absent. */
  weights?: number[];
  /** One lower bound for each sample that was never seen. */
  bounds: number[];
}

export interface Scale {
  unit: string;
  /** Divides every value on its way out; histograms keep undivided integers. */
  per: number;
  digits?: Digits;
}

/** Nanoseconds inside, milliseconds in results. */
export const MILLISECONDS: Scale = { unit: 'ms', per: 1e6 };

export function distributionOf(samples: Samples, scale: Scale): Distribution | Unavailable {
  const { values, bounds } = samples;
  if (values.length === 0) {
    const why =
      bounds.length === 0 ? 'no request has a value' : 'every request that could have a value failed or was cancelled';
    return unavailable(scale.unit, why);
  }
  const weights = samples.weights ?? values.map(() => 1);
  const seen = cumulate(values, weights);
  const all = bounds.length === 0 ? seen : cumulate([...values, ...bounds], [...weights, ...bounds.map(() => 1)]);
  const count = seen.total + bounds.length;

  const atRank = (rank: number): Bounded => {
    const value = rank <= seen.total ? weightedRank(seen.ascending, seen.cumulative, rank) : undefined;
    if (value !== undefined) return value / scale.per;
    return { gt: (weightedRank(all.ascending, all.cumulative, rank) as number) / scale.per };
  };
  const percentile = (p: number) => atRank(rankOf(p, count));
  const { mean, std } = moments(values, weights);

  return {
    unit: scale.unit,
    count,
    nEff: count,
    mean: mean / scale.per,
    std: std / scale.per,
    min: (seen.ascending[0] as number) / scale.per,
    max: atRank(count),
    p50: percentile(0.5),
    p90: percentile(0.9),
    p95: percentile(0.95),
    p99: percentile(0.99),
    p999: percentile(0.999),
    ci99: null,
    censored: bounds.length,
    hdr: histogramOf(values, weights, scale.digits ?? RUN_DIGITS),
  };
}

interface Cumulated {
  ascending: Float64Array;
  cumulative: Float64Array;
  total: number;
}

function cumulate(values: readonly number[], weights: readonly number[]): Cumulated {
  const order = Array.from(values, (_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ascending = new Float64Array(values.length);
  const cumulative = new Float64Array(values.length);
  let total = 0;
  order.forEach((place, i) => {
    total += weights[place] as number;
    ascending[i] = values[place] as number;
    cumulative[i] = total;
  });
  return { ascending, cumulative, total };
}

function histogramOf(values: readonly number[], weights: readonly number[], digits: Digits): string {
  const histogram = HdrHistogram.empty(digits);
  values.forEach((value, i) => {
    histogram.record(Math.round(value), weights[i]);
  });
  return histogram.encode();
}
