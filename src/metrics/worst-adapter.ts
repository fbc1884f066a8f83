/**
 * The slowest adapter beside the one in the middle. In: requests, and what latency to compare. Out: the largest of the
 * adapters' medians over the median of their medians, and how many adapters that is of.
 *
 * 1 means that all are served alike, 2 that one waits twice as long as most. Medians, since an adapter's tail is seldom
 * known. Adapters with fewer than 20 requests are left out, and two are needed; the base model is none. The worst of
 * many lies above 1 by chance alone: with 20 requests each whose logarithms spread by 0.2, of 8 adapters it is 1.09 on
 * average and in one run of twenty above 1.16, of 32 it is 1.13 and 1.18; with a spread of 0.5, of 8 it is 1.25 and 1.44.
 *
 * Where the median of the worst, or of the middle one, falls among failed requests there is no ratio.
 */
import type { MetricValue, RequestRecord } from '../result/schema.ts';
import { nearestRank } from '../stats/nearest-rank.ts';
import { CensoredOrder } from './censored-order.ts';
import { unavailable } from './metric.ts';
import { BASE_MODEL, byAdapter } from './per-adapter.ts';
import type { Samples } from './samples.ts';

export const LEAST_OF_AN_ADAPTER = 20;

/** Why adapters can't be compared where fewer than two have enough requests, of so many there are. */
export const tooFew = (adapters: number): string =>
  adapters < 2
    ? 'there are not two adapters to compare'
    : `fewer than two adapters have ${LEAST_OF_AN_ADAPTER} requests`;

export function worstOverMedian(
  records: readonly RequestRecord[],
  samplesOf: (own: readonly RequestRecord[]) => Samples,
): MetricValue {
  const adapters = [...byAdapter(records)].filter(([name]) => name !== BASE_MODEL);
  const medians = adapters.flatMap(([, own]) => {
    const samples = samplesOf(own);
    const enough = samples.values.length + samples.bounds.length >= LEAST_OF_AN_ADAPTER;
    return enough ? [new CensoredOrder(samples).percentile(0.5)] : [];
  });
  if (medians.length < 2) return unavailable('×', tooFew(adapters.length));
  if (!medians.every((median) => typeof median === 'number')) {
    return unavailable('×', 'an adapter’s median falls among requests that failed');
  }
  const ascending = medians.sort((a, b) => a - b);
  const middle = nearestRank(ascending, 0.5);
  if (!(middle > 0)) return unavailable('×', 'the median adapter’s latency is zero');
  return { unit: '×', count: medians.length, value: (ascending.at(-1) as number) / middle };
}
