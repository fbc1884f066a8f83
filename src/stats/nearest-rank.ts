/**
 * Percentiles by nearest rank: the ceil(p·n)-th smallest of n samples, always one of the samples, never interpolated.
 *
 * In: values in ascending order, a share p in (0, 1]. Out: a rank or a value. Samples that stand for several: ranked.ts.
 * Hyndman & Fan (1996), "Sample Quantiles in Statistical Packages", definition 1.
 */

/** p·n is a whole number in exact arithmetic more often than in floating point: 0.07 * 100 is 7.000000000000001. */
const ROUNDING = 1e-9;

/** 1-based rank of percentile `p` among `n` samples. @throws RangeError when p is outside (0, 1] or n is not positive */
export function rankOf(p: number, n: number): number {
  if (!(p > 0 && p <= 1)) throw new RangeError(`a percentile is a share in (0, 1], not ${p}`);
  if (!(n > 0)) throw new RangeError(`a percentile needs at least one sample, not ${n}`);
  return Math.min(n, Math.max(1, Math.ceil(p * n - ROUNDING)));
}

/** The value of percentile `p` in `ascending`. */
export function nearestRank(ascending: ArrayLike<number>, p: number): number {
  return ascending[rankOf(p, ascending.length) - 1] as number;
}
