/**
 * Does a series rise or fall? In: a latency of successive requests, as logarithms. Out: a p-value of "it does neither", and
 * by how much it changes from its start to its end.
 *
 * Spearman's rank correlation (1904) of 20 batch means with time; its t has n* - 2 degrees of freedom, where n* is what 20
 * means with their correlation at lag 1 are worth, measured about a line so that a trend doesn't count as correlation.
 * Without that, a 5% test flags two good runs in five whose successive latencies correlate by 0.9 (models of AR(1), 100
 * requests); with it 3 to 7% at any of 0, 0.5, 0.9 and from 100 to 2,000 requests. Where n* is below 5 there is no p.
 *
 * The change is exp(20 b) - 1 with b the median of the slopes between all pairs of means (Theil 1950; Sen 1968).
 */
import { lagOne, meansOf, worthOf } from './batch-means.ts';
import { studentTwoSided } from './distributions.ts';

const BATCHES = 20;
/** Two requests a batch, so that a mean is one. */
export const LEAST_FOR_TREND = 2 * BATCHES;
/** Means that differ by less than a millionth of the latency differ by rounding. */
const GRAIN = 1e-6;
/** Fewer independent means than this can't show a trend. */
const LEAST_WORTH = 5;

export interface Trend {
  /** null where the series depends too much on itself to tell. */
  p: number | null;
  /** 0.3 is 30% more at the end than at the start; -0.3 is 30% less. */
  drift: number;
}

/** @throws RangeError for fewer than LEAST_FOR_TREND values */
export function trendOf(logs: ArrayLike<number>): Trend {
  if (logs.length < LEAST_FOR_TREND)
    throw new RangeError(`a trend needs ${LEAST_FOR_TREND} values, not ${logs.length}`);
  const means = meansOf(logs, BATCHES).map((mean) => Math.round(mean / GRAIN) * GRAIN);
  const drift = Math.expm1(BATCHES * medianSlope(means));
  const worth = worthOf(BATCHES, lagOne(means, 'line'));
  return { p: worth < LEAST_WORTH ? null : spearmanP(spearmanWithTime(means), worth), drift };
}

/** The rank correlation of values with their places; equal values share the mean of their ranks. 0 where all are equal. */
export function spearmanWithTime(values: readonly number[]): number {
  const ranks = ranksOf(values);
  const middle = (values.length + 1) / 2;
  let products = 0;
  let ofRanks = 0;
  let ofPlaces = 0;
  ranks.forEach((rank, i) => {
    products += (rank - middle) * (i + 1 - middle);
    ofRanks += (rank - middle) ** 2;
    ofPlaces += (i + 1 - middle) ** 2;
  });
  return ofRanks > 0 ? products / Math.sqrt(ofRanks * ofPlaces) : 0;
}

function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++;
    for (const place of order.slice(from, to)) ranks[place] = (from + 1 + to) / 2;
    from = to;
  }
  return ranks;
}

/** Two-sided, by t = ρ √((n - 2) / (1 - ρ²)); n > 2 need not be whole. */
export function spearmanP(rho: number, n: number): number {
  if (Math.abs(rho) >= 1) return 0;
  return studentTwoSided(rho * Math.sqrt((n - 2) / (1 - rho * rho)), n - 2);
}

/** Of the slopes between all pairs of values, per place. */
export function medianSlope(values: readonly number[]): number {
  const slopes: number[] = [];
  for (let i = 0; i < values.length; i++) {
    for (let j = i + 1; j < values.length; j++) slopes.push(((values[j] as number) - (values[i] as number)) / (j - i));
  }
  slopes.sort((a, b) => a - b);
  const half = slopes.length / 2;
  return ((slopes[Math.ceil(half) - 1] as number) + (slopes[Math.floor(half)] as number)) / 2;
}
