/**
 * One-sided bounds and p-values by Student's t: of the mean that values scatter around, and of a single value yet to come.
 * In: values of replicates (runs, pairs, sessions), each worth one; a level for each side. Out: bounds, or a p.
 *
 * The mean: mean ± t(level, k - 1) s / √k. A further value of the same kind: mean ± t(level, k - 1) s √(1 + 1/k), the
 * prediction interval, which holds that value itself and not only the mean (Hahn & Meeker 1991, "Statistical Intervals",
 * 4.3 and 4.7). On logarithms of ratios both are bounds of a ratio.
 *
 * Values that are all alike leave no room for chance: their bounds are the value itself, and their p is 0 or 1.
 */
import { moments } from './moments.ts';
import { studentQuantile, studentUpper } from './student.ts';

export interface OneSided {
  mean: number;
  /** Each wrong with probability `level` at most: both together are an interval of 1 - 2 × level. */
  lower: number;
  upper: number;
}

/** @throws RangeError for fewer than two values */
export function meanBounds(values: readonly number[], level: number): OneSided {
  const { count, mean, std } = replicates(values);
  return around(mean, studentQuantile(level, count - 1) * (std / Math.sqrt(count)));
}

/** P of a mean so high by chance, where the true one is `limit` at most. */
export function meanAboveP(values: readonly number[], limit: number): number {
  const { count, mean, std } = replicates(values);
  return tailOf(mean - limit, std / Math.sqrt(count), count - 1);
}

/** By how much `value` is above what the others lead one to expect of it, with bounds. */
export function excessBounds(value: number, others: readonly number[], level: number): OneSided {
  const { count, mean, std } = replicates(others);
  return around(value - mean, studentQuantile(level, count - 1) * std * Math.sqrt(1 + 1 / count));
}

/** P of an excess so high by chance, where the true one is `limit` at most. */
export function excessAboveP(value: number, others: readonly number[], limit: number): number {
  const { count, mean, std } = replicates(others);
  return tailOf(value - mean - limit, std * Math.sqrt(1 + 1 / count), count - 1);
}

function replicates(values: readonly number[]) {
  if (values.length < 2) throw new RangeError(`${values.length} replicates do not show how much they differ`);
  return moments(values);
}

const around = (mean: number, margin: number): OneSided => ({ mean, lower: mean - margin, upper: mean + margin });

function tailOf(excess: number, error: number, freedom: number): number {
  if (error === 0) return excess > 0 ? 0 : 1;
  return studentUpper(excess / error, freedom);
}
