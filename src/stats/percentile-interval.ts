/**
 * Which samples, in order of size, enclose a percentile. In: the percentile, how many samples there are, and how many
 * independent ones they are worth. Out: two ranks, or null where the samples are too few for an interval.
 *
 * Of n independent samples the number below the percentile p is binomial (n, p), whatever their distribution. So the l-th
 * and the u-th smallest enclose it with at least the confidence asked for, when l is the largest rank with
 * P(B <= l - 1) <= α/2 and u the smallest with P(B <= u - 1) >= 1 - α/2 (David & Nagaraja 2003, "Order Statistics",
 * section 7.1). At 99% that takes at least 8 samples for p50, 51 for p90, 104 for p95, 528 for p99, 5,296 for p99.9.
 *
 * Dependent samples are worth fewer: the ranks are those of `effective` samples, and are stretched to the `count` there
 * are, outwards.
 */
import { binomialCdf } from './distributions.ts';

export const CONFIDENCE = 0.99;

/** 1-based ranks among n independent samples. */
export function independentRanks(p: number, n: number, confidence = CONFIDENCE): [number, number] | null {
  const tail = (1 - confidence) / 2;
  const below = firstWhere(n, (k) => binomialCdf(k, n, p) > tail);
  const above = firstWhere(n, (k) => binomialCdf(k, n, p) >= 1 - tail);
  // P(B <= l - 1) <= tail holds for l up to `below`; P(B <= u - 1) >= 1 - tail from u = above + 1 on.
  return below >= 1 && above + 1 <= n ? [below, above + 1] : null;
}

/** 1-based ranks among `count` samples that are worth `effective` independent ones, 0 < effective <= count. */
export function enclosingRanks(p: number, count: number, effective: number): [number, number] | null {
  const independent = Math.floor(Math.min(count, effective));
  const ranks = independent < 1 ? null : independentRanks(p, independent);
  if (ranks === null) return null;
  const [low, high] = ranks;
  const stretch = count / independent;
  return [Math.floor((low - 1) * stretch) + 1, Math.min(count, Math.ceil(high * stretch))];
}

/** The least k in 0..n for which a condition holds that, once true, stays true; n + 1 if it never does. */
function firstWhere(n: number, holds: (k: number) => boolean): number {
  let low = 0;
  let high = n + 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
