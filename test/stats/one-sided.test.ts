/** Student's t, bounds of means and of values to come, shares: against scipy's answers. */
import { expect, it } from 'vitest';
import { excessAboveP, excessBounds, meanAboveP, meanBounds } from '../../src/stats/one-sided.ts';
import { atLeastP, shareBounds } from '../../src/stats/proportion.ts';
import { studentQuantile, studentUpper } from '../../src/stats/student.ts';
import { golden, normal, randomOf, share } from './series.ts';

it.each(golden.quantiles)('the t of tail $tail with $freedom degrees', ({ tail, freedom, t }) => {
  expect(studentQuantile(tail, freedom)).toBeCloseTo(t, 9);
  expect(studentUpper(studentQuantile(tail, freedom), freedom)).toBeCloseTo(tail, 12);
  expect(studentUpper(-t, freedom)).toBeCloseTo(1 - tail, 12);
});

it.each(golden.means)('bounds and p of a mean, at $level', ({ values, level, mean, lower, upper, p }) => {
  const bounds = meanBounds(values, level);
  for (const [got, want] of [
    [bounds.mean, mean],
    [bounds.lower, lower],
    [bounds.upper, upper],
    [meanAboveP(values, 0.02), p],
  ]) {
    expect(got).toBeCloseTo(want!, 10);
  }
});

it.each(golden.excesses)('bounds and p of a value to come, at $level', ({ value, others, level, lower, upper, p }) => {
  const bounds = excessBounds(value, others, level);
  expect(bounds.lower).toBeCloseTo(lower, 10);
  expect(bounds.upper).toBeCloseTo(upper, 10);
  expect(excessAboveP(value, others, 0.02)).toBeCloseTo(p, 10);
});

it.each(golden.shares)('bounds and p of $k in $n, at $level', ({ k, n, level, lower, upper, p }) => {
  const bounds = shareBounds(k, n, level);
  expect(bounds.lower).toBeCloseTo(lower, 10);
  expect(bounds.upper).toBeCloseTo(upper, 10);
  expect(atLeastP(k, n, 0.01)).toBeCloseTo(p, 10);
});

it('a bound holds the mean, and the prediction the value to come, as often as they promise', () => {
  const random = randomOf(7);
  const draws = (k: number) => Array.from({ length: k }, () => normal(random));
  // 4 standard errors of a share of 0.05 in 4,000 are 0.014.
  expect(Math.abs(share(4000, () => meanBounds(draws(6), 0.05).lower > 0) - 0.05)).toBeLessThan(0.014);
  expect(Math.abs(share(4000, () => excessBounds(normal(random), draws(8), 0.05).lower > 0) - 0.05)).toBeLessThan(
    0.014,
  );
  // Taken for a mean, a further value would be out of bounds far too often.
  expect(share(4000, () => normal(random) > meanBounds(draws(8), 0.05).upper)).toBeGreaterThan(0.2);
});

it('values that are all alike leave nothing to chance', () => {
  expect(meanBounds([0.1, 0.1, 0.1], 0.01)).toEqual({ mean: 0.1, lower: 0.1, upper: 0.1 });
  expect([meanAboveP([0.25, 0.25], 0.2), meanAboveP([0.25, 0.25], 0.25)]).toEqual([0, 1]);
});

it('refuses what has no answer', () => {
  expect(() => meanBounds([0.1], 0.05)).toThrow(RangeError);
  expect(() => excessBounds(1, [], 0.05)).toThrow(RangeError);
  expect(() => studentQuantile(0.7, 5)).toThrow(RangeError);
  expect(() => studentQuantile(0.05, 0)).toThrow(RangeError);
  expect(() => shareBounds(3, 2, 0.05)).toThrow(RangeError);
});
