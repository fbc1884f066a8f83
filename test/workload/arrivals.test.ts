import fc from 'fast-check';
import { expect, test } from 'vitest';
import { constantArrivals } from '../../src/workload/arrivals/constant.ts';
import { poissonArrivals } from '../../src/workload/arrivals/poisson.ts';
import { rngOf } from '../../src/workload/rng.ts';

function take<T>(items: Iterator<T>, n: number): T[] {
  return Array.from({ length: n }, () => items.next().value as T);
}

test('constant arrivals are evenly spaced from 0 and never drift', () => {
  expect(take(constantArrivals(4), 4)).toEqual([0, 0.25e9, 0.5e9, 0.75e9]);
  expect(take(constantArrivals(3), 3_000_001).at(-1)).toBe(1_000_000e9);
});

test('offsets are whole nanoseconds that never fall, at any rate', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 5000, noNaN: true }), fc.nat(), (rate, seed) => {
      for (const offsets of [take(constantArrivals(rate), 200), take(poissonArrivals(rate, rngOf(seed, 'a')), 200)]) {
        expect(offsets.every(Number.isSafeInteger)).toBe(true);
        expect(offsets.every((at, i) => at >= (offsets[i - 1] ?? 0))).toBe(true);
      }
    }),
  );
});

test('poisson gaps are exponential: mean, spread and the whole distribution', () => {
  const rate = 20;
  const n = 20_000;
  const offsets = take(poissonArrivals(rate, rngOf(7, 'arrivals')), n);
  const gaps = offsets.map((at, i) => (at - (offsets[i - 1] ?? 0)) / 1e9);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / n;
  expect(Math.abs(mean * rate - 1)).toBeLessThan(4 / Math.sqrt(n));
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / (n - 1);
  expect(Math.abs(Math.sqrt(variance) * rate - 1)).toBeLessThan(4 / Math.sqrt(n / 2));

  // Kolmogorov-Smirnov against 1 - exp(-rate x); 1.95/sqrt(n) is its 0.1% critical value.
  const sorted = [...gaps].sort((a, b) => a - b);
  const distance = Math.max(
    ...sorted.map((gap, i) => {
      const cdf = 1 - Math.exp(-rate * gap);
      return Math.max(Math.abs(cdf - i / n), Math.abs(cdf - (i + 1) / n));
    }),
  );
  expect(distance).toBeLessThan(1.95 / Math.sqrt(n));
});

test('poisson counts vary as much as their mean: the process is not rescaled to its rate', () => {
  const rate = 10;
  const offsets = take(poissonArrivals(rate, rngOf(3, 'arrivals')), 40_000);
  const seconds = Math.floor(offsets.at(-1)! / 1e9);
  const counts = new Array<number>(seconds).fill(0);
  for (const at of offsets) {
    const second = Math.floor(at / 1e9);
    if (second < seconds) counts[second]!++;
  }
  const mean = counts.reduce((sum, count) => sum + count, 0) / seconds;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / (seconds - 1);
  expect(variance / mean).toBeGreaterThan(0.9);
  expect(variance / mean).toBeLessThan(1.1);
});
