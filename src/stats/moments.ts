/**
 * Mean and standard deviation, plain or weighted by counts. In: values and, maybe, how often each occurred. Out: both.
 *
 * One pass that stays accurate for values far from zero: West (1979), "Updating Mean and Variance Estimates".
 */
export interface Moments {
  /** Samples, or the sum of the weights. */
  count: number;
  mean: number;
  /** Sample standard deviation (n - 1); 0 for a single sample. */
  std: number;
}

/** @throws RangeError when there is nothing to average */
export function moments(values: ArrayLike<number>, weights?: ArrayLike<number>): Moments {
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = weights === undefined ? 1 : (weights[i] as number);
    if (weight === 0) continue;
    const value = values[i] as number;
    count += weight;
    const delta = value - mean;
    mean += (delta * weight) / count;
    squares += weight * delta * (value - mean);
  }
  if (!(count > 0)) throw new RangeError('no samples to average');
  return { count, mean, std: count > 1 ? Math.sqrt(Math.max(0, squares) / (count - 1)) : 0 };
}
