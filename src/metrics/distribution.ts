/**
 * Samples to a Distribution, right-censoring included.
 *
 * In: observed values, how often each counts, and lower bounds of values that were never seen because their request
 * failed or was cancelled. Out: percentiles (nearest rank over all of them; censored-order.ts), how sure they are
 * (percentiles.ts), moments, an HDR histogram.
 *
 * Mean, std and min are of what was observed, and `censored` says how much that leaves out. The histogram holds observed
 * values only. An adapter's has two digits, and its p99 alone has an interval: there may be hundreds of adapters.
 */
import { ADAPTER_DIGITS, type Digits, HdrHistogram, RUN_DIGITS } from '../recorder/histogram.ts';
import type { Bounded, Distribution, Unavailable } from '../result/schema.ts';
import { moments } from '../stats/moments.ts';
import { CensoredOrder } from './censored-order.ts';
import { unavailable } from './metric.ts';
import { certaintyOf, forEachPercentile } from './percentiles.ts';
import type { Samples } from './samples.ts';

export interface Scale {
  unit: string;
  /** Divides every value on its way out; histograms keep undivided integers. */
  per: number;
  digits?: Digits;
}

/** Nanoseconds inside, milliseconds in results. */
export const MILLISECONDS: Scale = { unit: 'ms', per: 1e6 };

export function distributionOf(
  samples: Samples,
  { unit, per, digits = RUN_DIGITS }: Scale,
): Distribution | Unavailable {
  const { values, weights, bounds } = samples;
  if (values.length === 0) {
    const why =
      bounds.length === 0 ? 'no request has a value' : 'every request that could have a value failed or was cancelled';
    return unavailable(unit, why);
  }
  const order = new CensoredOrder(samples);
  const { nEff, intervals } = certaintyOf(samples, order);
  const { mean, std } = moments(values, weights ?? undefined);

  const scaled = (value: Bounded): Bounded => (typeof value === 'number' ? value / per : { gt: value.gt / per });
  const interval = (ends: [number, number] | null): [number, number] | null =>
    ends === null ? null : [ends[0] / per, ends[1] / per];
  return {
    unit,
    count: order.count,
    nEff,
    mean: mean / per,
    std: std / per,
    min: (order.at(1) as number) / per,
    max: scaled(order.at(order.count)),
    ...forEachPercentile((p) => scaled(order.percentile(p))),
    ci99: interval(intervals.p99),
    ...(digits === ADAPTER_DIGITS ? {} : { intervals: forEachPercentile((_, name) => interval(intervals[name])) }),
    censored: bounds.length,
    hdr: histogramOf(order, digits),
  };
}

function histogramOf(order: CensoredOrder, digits: Digits): string {
  const histogram = HdrHistogram.empty(digits);
  order.forEachSeen((value, count) => histogram.record(Math.round(value), count));
  return histogram.encode();
}
