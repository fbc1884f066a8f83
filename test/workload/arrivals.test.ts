import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { constantArrivals } from '../../src/workload/arrivals/constant.ts';
import { gammaArrivals } from '../../src/workload/arrivals/gamma.ts';
import { poissonArrivals } from '../../src/workload/arrivals/poisson.ts';
import { traceArrivals } from '../../src/workload/arrivals/trace.ts';
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

describe('gamma', () => {
  const RATE = 20;
  const N = 20_000;
  const gapsOf = (shape: number) => {
    const offsets = take(gammaArrivals(RATE, shape, rngOf(7, 'arrivals')), N);
    return offsets.map((at, i) => (at - (offsets[i - 1] ?? 0)) / 1e9);
  };

  test.each([0.1, 0.5, 1, 2, 10])(
    'gaps of shape %d have mean 1/rate and a squared coefficient of variation of 1/k',
    (k) => {
      const gaps = gapsOf(k);
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / N;
      // A mean's standard error is mean * sqrt(1 / (k n)).
      expect(Math.abs(mean * RATE - 1)).toBeLessThan(4 / Math.sqrt(k * N));
      const cv2 = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / (N - 1) / mean ** 2;
      // The excess kurtosis is 6/k, so a variance's relative standard error is sqrt((2 + 6/k) / n).
      expect(Math.abs(cv2 * k - 1)).toBeLessThan(4 * Math.sqrt((2 + 6 / k) / N) + 8 / Math.sqrt(k * N));
    },
  );

  /** Closed forms of the distribution function of shape k and scale 1. */
  const CDFS: [number, (x: number) => number][] = [
    [0.5, (x) => erf(Math.sqrt(x))],
    [1, (x) => 1 - Math.exp(-x)],
    [2, (x) => 1 - Math.exp(-x) * (1 + x)],
    [4, (x) => 1 - Math.exp(-x) * (1 + x + x ** 2 / 2 + x ** 3 / 6)],
  ];
  test.each(CDFS)('gaps of shape %d follow its distribution (Kolmogorov-Smirnov, 0.1%)', (k, cdf) => {
    const scaled = gapsOf(k)
      .map((gap) => gap * k * RATE)
      .sort((a, b) => a - b);
    const distance = Math.max(
      ...scaled.map((x, i) => Math.max(Math.abs(cdf(x) - i / N), Math.abs(cdf(x) - (i + 1) / N))),
    );
    expect(distance).toBeLessThan(1.95 / Math.sqrt(N));
  });

  test('the same seed gives the same, and how many come is not rescaled to the rate', () => {
    const last = (seed: number) => take(gammaArrivals(10, 0.25, rngOf(seed, 'a')), 400).at(-1)! / 1e9;
    expect(last(1)).toBe(last(1));
    // 400 gaps take 40 s with a deviation of 2 s * sqrt(4) = 4 s.
    const ends = Array.from({ length: 200 }, (_, seed) => last(seed));
    const mean = ends.reduce((sum, end) => sum + end, 0) / 200;
    const deviation = Math.sqrt(ends.reduce((sum, end) => sum + (end - mean) ** 2, 0) / 199);
    expect(Math.abs(mean - 40)).toBeLessThan(4 * (4 / Math.sqrt(200)));
    expect(deviation).toBeGreaterThan(3.2);
    expect(deviation).toBeLessThan(4.9);
  });

  test('at any shape and rate offsets are whole and never fall', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1000, noNaN: true }), fc.nat(), (shape, seed) => {
        const offsets = take(gammaArrivals(5, shape, rngOf(seed, 'a')), 200);
        expect(offsets.every(Number.isSafeInteger)).toBe(true);
        expect(offsets.every((at, i) => at >= (offsets[i - 1] ?? 0))).toBe(true);
      }),
    );
  });
});

test("a trace's arrivals are its own, as fast as asked, and end with it", () => {
  const entry = (atMs: number) => ({ atMs, promptTokens: 1, outputTokens: 1, hashIds: null });
  const entries = [0, 0, 250, 1000.5].map(entry);
  expect([...traceArrivals(entries, 1)]).toEqual([0, 0, 250e6, 1000.5e6]);
  expect([...traceArrivals(entries, 2)]).toEqual([0, 0, 125e6, 500.25e6]);
});

/** The error function's power series; exact to rounding for the arguments of these tests. */
function erf(x: number): number {
  if (x > 5) return 1;
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
