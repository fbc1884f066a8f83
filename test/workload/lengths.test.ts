import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lengthsOf } from '../../src/workload/lengths.ts';
import { rngOf } from '../../src/workload/rng.ts';

const drawn = (next: () => number, n: number) => Array.from({ length: n }, next);

test('fixed lengths are fixed', () => {
  expect(drawn(lengthsOf({ kind: 'fixed', tokens: 7 }, rngOf(1, 'l')), 3)).toEqual([7, 7, 7]);
});

test('draws are whole and stay within min and max', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 300 }), fc.nat(200), fc.nat(50), (seed, min, width, stddev) => {
      const max = min + width;
      const normal = { kind: 'normal' as const, mean: min + width / 2, stddev, min, max };
      for (const lengths of [normal, { kind: 'uniform' as const, min, max }]) {
        const values = drawn(lengthsOf(lengths, rngOf(seed, 'l')), 40);
        expect(values.every((value) => Number.isInteger(value) && value >= min && value <= max)).toBe(true);
      }
    }),
  );
});

test('a normal has its mean and deviation, and normal tails', () => {
  const n = 20_000;
  const values = drawn(lengthsOf({ kind: 'normal', mean: 200, stddev: 20, min: 1, max: 400 }, rngOf(5, 'l')), n);
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  expect(Math.abs(mean - 200)).toBeLessThan((4 * 20) / Math.sqrt(n));
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  expect(Math.abs(deviation - 20)).toBeLessThan(0.5);
  const within = (k: number) => values.filter((value) => Math.abs(value - 200) <= k * 20).length / n;
  expect(within(1)).toBeGreaterThan(0.66); // 68.3% (a little more by rounding to whole tokens)
  expect(within(1)).toBeLessThan(0.72);
  expect(within(2)).toBeGreaterThan(0.945);
  expect(within(2)).toBeLessThan(0.965);
});

test('a uniform reaches every value about equally often', () => {
  const counts = new Map<number, number>();
  const n = 10_000;
  for (const value of drawn(lengthsOf({ kind: 'uniform', min: 3, max: 12 }, rngOf(5, 'l')), n)) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  expect([...counts.keys()].sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - n / 10) ** 2 / (n / 10), 0);
  expect(chiSquare).toBeLessThan(27.9); // 0.1% of chi-square with 9 degrees of freedom
});
