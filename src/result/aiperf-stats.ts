/**
 * One metric in AIPerf's form: the block of statistics that stands under each tag of profile_export_aiperf.json.
 *
 * In: a distribution of a result. Out: avg, percentiles, min, max, std, count and sum, as AIPerf's `JsonMetricResult` has
 * them. They are of what was observed, which for latencies is the requests that succeeded: AIPerf's own are of those too.
 * A result's percentiles count failures as longer than anything seen, so they serve here only where nothing failed; else,
 * and for p1 to p25 and p75, which a result does not keep, the histogram answers (three digits, so within 0.1 %). All are
 * nearest rank, where AIPerf interpolates between two samples.
 */
import { HdrHistogram } from '../recorder/histogram.ts';
import { rankOf } from '../stats/nearest-rank.ts';
import type { Distribution } from './schema.ts';

const SHARES = { p1: 0.01, p5: 0.05, p10: 0.1, p25: 0.25, p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 };
type Percentile = keyof typeof SHARES;
const PERCENTILES = Object.keys(SHARES) as Percentile[];

/** In AIPerf's order; a metric that is one number a run has `unit` and `avg` only. */
export const STATS = ['avg', ...PERCENTILES, 'min', 'max', 'std', 'count', 'sum'] as const;
export type AiperfStats = { unit: string } & Partial<Record<(typeof STATS)[number], number>>;

type Percentiles = Partial<Record<Percentile, number>>;

/** Values with how often each came, rising. */
type Counted = readonly { value: number; count: number }[];

/** Of the requests that have a value. */
export function observedStats(distribution: Distribution): AiperfStats {
  const { unit, mean, std, min, max, censored } = distribution;
  const count = distribution.count - censored;
  const counted = countedOf(distribution);
  const exact = censored === 0 ? keptBy(distribution) : {};
  const longest = typeof max === 'number' ? max : Math.max(min, counted.at(-1)?.value ?? min);
  return {
    unit,
    avg: mean,
    ...percentilesOf(counted, count, exact, [min, longest]),
    min,
    max: longest,
    std: std * Math.sqrt((count - 1) / count), // np.std divides by n, a result's std by n - 1
    count,
    sum: mean * count,
  };
}

/**
 * AIPerf's `adj_` metrics: every request that failed takes infinitely long. What is infinite is left out (AIPerf writes
 * null): the average, the largest, the sum, and the percentiles that fall among failures.
 */
export function adjustedStats(distribution: Distribution): AiperfStats {
  const { unit, count, min } = distribution;
  const beyond = Number.POSITIVE_INFINITY;
  return { unit, ...percentilesOf(countedOf(distribution), count, keptBy(distribution), [min, beyond]), min, count };
}

/**
 * Tokens a second that the reader of one stream sees: 1 / inter-token latency, one a request. null where all tokens of
 * every request came at once: AIPerf has no rate for such a request.
 */
export function perUserStats(tpot: Distribution): AiperfStats | null {
  const counted = countedOf(tpot)
    .filter(({ value }) => value > 0)
    .map(({ value, count }) => ({ value: 1000 / value, count }))
    .reverse();
  const [lowest, highest] = [counted[0], counted.at(-1)];
  if (lowest === undefined || highest === undefined) return null;
  const count = sumOver(counted, () => 1);
  const sum = sumOver(counted, (value) => value);
  const avg = sum / count;
  return {
    unit: 'tokens/sec/user',
    avg,
    ...percentilesOf(counted, count, {}, [lowest.value, highest.value]),
    min: lowest.value,
    max: highest.value,
    std: Math.sqrt(sumOver(counted, (value) => (value - avg) ** 2) / count),
    count,
    sum,
  };
}

/** A histogram holds nanoseconds, or tokens. */
function countedOf({ unit, hdr }: Distribution): Counted {
  const per = unit === 'ms' ? 1e6 : 1;
  const buckets = HdrHistogram.decode(hdr).buckets();
  return buckets.map(({ value, count }) => ({ value: value / per, count }));
}

const sumOver = (counted: Counted, of: (value: number) => number): number =>
  counted.reduce((sum, { value, count }) => sum + count * of(value), 0);

/** The percentiles that a result keeps itself, from its raw samples. */
function keptBy(distribution: Distribution): Percentiles {
  const { p50, p90, p95, p99 } = distribution;
  const known = Object.entries({ p50, p90, p95, p99 }).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(known);
}

/**
 * Nearest rank among `count` samples, of which `counted` are the smallest; a percentile beyond them is left out. A bucket's
 * middle may lie beside its samples, so each is held between the exact ones around it.
 */
function percentilesOf(counted: Counted, count: number, exact: Percentiles, [min, max]: [number, number]): Percentiles {
  const found: Percentiles = {};
  PERCENTILES.forEach((name, i) => {
    const value = exact[name] ?? valueAt(counted, rankOf(SHARES[name], count));
    if (value === undefined) return;
    const least = PERCENTILES.slice(0, i).findLast((other) => exact[other] !== undefined);
    const most = PERCENTILES.slice(i).find((other) => exact[other] !== undefined);
    const floor = least === undefined ? min : (exact[least] as number);
    const ceiling = most === undefined ? max : (exact[most] as number);
    found[name] = Math.min(Math.max(value, floor), ceiling);
  });
  return found;
}

function valueAt(counted: Counted, rank: number): number | undefined {
  let reached = 0;
  for (const { value, count } of counted) {
    reached += count;
    if (reached >= rank) return value;
  }
  return undefined;
}
