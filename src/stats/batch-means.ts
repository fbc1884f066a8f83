/**
 * Means of successive stretches of a series, and how one follows from the one before. In: values in order of time. Out:
 * batch means; their correlation at lag 1.
 */

/** Means of batches of `size`, from the start; what is left over at the end is dropped. */
export function batchesOf(series: ArrayLike<number>, size: number): number[] {
  const count = Math.floor(series.length / size);
  return Array.from({ length: count }, (_, batch) => meanOf(series, batch * size, size));
}

/** Means of `count` batches of equal size, up to the end; what is left over at the start is dropped. */
export function meansOf(series: ArrayLike<number>, count: number): number[] {
  const size = Math.floor(series.length / count);
  const skipped = series.length - count * size;
  return Array.from({ length: count }, (_, batch) => meanOf(series, skipped + batch * size, size));
}

function meanOf(series: ArrayLike<number>, from: number, size: number): number {
  let sum = 0;
  for (let i = from; i < from + size; i++) sum += series[i] as number;
  return sum / size;
}

/** Least squares; the residuals about a straight line, or about the mean alone. */
function residuals(values: readonly number[], about: 'mean' | 'line'): number[] {
  const n = values.length;
  const middle = (n - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const spread = (n * (n * n - 1)) / 12;
  const slope =
    about === 'mean' || n < 2 ? 0 : values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0) / spread;
  return values.map((value, i) => value - mean - slope * (i - middle));
}

/** Deviations this small, as a share of the values, are rounding. */
const ROUNDING = 1e-12;

/** Short series look less correlated than they are; beyond this, nothing can be told apart from a trend. */
const MOST_CORRELATION = 0.99;

/**
 * The correlation of a value with the one before, from 0 to 0.99, made good for what its estimate falls short by in a
 * series of n: (1 + 3ρ) / n about the mean (Kendall 1954; Marriott & Pope 1954, "Bias in the Estimation of
 * Autocorrelations"), (2 + 4ρ) / n about a line. 0 where nothing varies. Needs more than 4 values.
 */
export function lagOne(values: readonly number[], about: 'mean' | 'line'): number {
  const rest = residuals(values, about);
  const n = rest.length;
  const squares = rest.reduce((sum, value) => sum + value * value, 0);
  const products = rest.reduce((sum, value, i) => (i === 0 ? 0 : sum + value * (rest[i - 1] as number)), 0);
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (!(squares > n * (ROUNDING * scale) ** 2)) return 0;
  const estimate = products / squares;
  const unbiased = about === 'mean' ? (n * estimate + 1) / (n - 3) : (n * estimate + 2) / (n - 4);
  return Math.min(MOST_CORRELATION, Math.max(0, unbiased));
}

/** What n values with that correlation at lag 1 are worth: n (1 - ρ) / (1 + ρ), as a first-order process has it. */
export const worthOf = (n: number, rho: number): number => (n * (1 - rho)) / (1 + rho);
