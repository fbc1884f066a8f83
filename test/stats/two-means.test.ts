/** How far two means are apart: by scipy's answers, and by how often the interval holds the truth. */
import { describe, expect, it } from 'vitest';
import { detectableDifference, differenceOfMeans, intervalOf, pairedDifference } from '../../src/stats/two-means.ts';
import { golden, normal, randomOf, share } from './series.ts';

describe('the interval', () => {
  it.each(golden.paired)("of pairs is scipy's %#", ({ differences, lower, upper }) => {
    const [low, high] = intervalOf(pairedDifference(differences), 0.05);
    expect(low).toBeCloseTo(lower, 11);
    expect(high).toBeCloseTo(upper, 11);
  });

  it.each(golden.two)("of two groups is scipy's %#", ({ xs, ys, freedom, lower, upper }) => {
    const difference = differenceOfMeans(xs, ys);
    const [low, high] = intervalOf(difference, 0.05);
    expect(difference.freedom).toBeCloseTo(freedom, 9);
    expect(low).toBeCloseTo(lower, 11);
    expect(high).toBeCloseTo(upper, 11);
  });

  const group = (random: () => number, count: number, sd: number, mean = 0) =>
    Array.from({ length: count }, () => mean + sd * normal(random));
  const covers = (difference: ReturnType<typeof differenceOfMeans>, truth: number) => {
    const [low, high] = intervalOf(difference, 0.05);
    return low <= truth && truth <= high;
  };

  // Of 20,000 draws a share of 95% comes out within 0.5% of it in all but one of 850 such tests; the draws are fixed.
  it.each([3, 6, 20])('of %i pairs holds the truth in 95 of 100 draws', (pairs) => {
    const random = randomOf(pairs);
    const held = share(20_000, () => covers(pairedDifference(group(random, pairs, 0.03, 0.07)), 0.07));
    expect(held).toBeGreaterThan(0.945);
    expect(held).toBeLessThan(0.955);
  });

  it.each([
    [8, 8, 1, 0.945, 0.956],
    [3, 12, 4, 0.93, 0.97],
    [12, 3, 4, 0.92, 0.97],
    [1, 8, 1, 0.945, 0.955],
    [8, 1, 1, 0.945, 0.955],
  ])('of groups of %i and %i, the second %i times as noisy, holds it', (m, n, ratio, least, most) => {
    const random = randomOf(100 * m + n);
    const held = share(20_000, () =>
      covers(differenceOfMeans(group(random, m, 0.02, 1), group(random, n, 0.02 * ratio, 1.1)), 0.1),
    );
    expect(held).toBeGreaterThan(least);
    expect(held).toBeLessThan(most);
  });
});

describe('the difference that would have been seen', () => {
  const wanted = { level: 0.05, power: 0.8 };

  it('is seen in four of five, of a spread that is known', () => {
    for (const pairs of [4, 8, 20]) {
      const random = randomOf(pairs);
      const seen = detectableDifference({ mean: 0, error: 0.02 / Math.sqrt(pairs), freedom: pairs - 1 }, wanted) ?? 0;
      const power = share(4000, () => {
        const differences = Array.from({ length: pairs }, () => seen + 0.02 * normal(random));
        return intervalOf(pairedDifference(differences), 0.05)[0] > 0;
      });
      expect(power).toBeGreaterThan(0.77);
      expect(power).toBeLessThan(0.83);
    }
  });

  it('is not known of three values or fewer', () => {
    expect(detectableDifference(pairedDifference([0.1, 0.2, 0.3]), wanted)).toBeNull();
    expect(detectableDifference(pairedDifference([0.1, 0.2, 0.3, 0.2]), wanted)).toBeGreaterThan(0);
  });
});

it('takes values that are all alike for certain, and one on either side for nothing', () => {
  const alike = differenceOfMeans([1, 1], [2, 2, 2]);
  expect(intervalOf(alike, 0.05)).toEqual([1, 1]);
  expect(() => differenceOfMeans([1], [2])).toThrow(RangeError);
  expect(() => pairedDifference([1])).toThrow(RangeError);
  expect(() => differenceOfMeans([], [2, 3])).toThrow(RangeError);
});
