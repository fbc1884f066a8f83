/** Correlation times and effective sizes against numpy's, and against what theory says of known processes. */
import { describe, expect, it } from 'vitest';
import { autocorrelations, correlationTime } from '../../src/stats/autocorrelation.ts';
import { effectiveSize } from '../../src/stats/effective-size.ts';
import { firstOrder, golden, randomOf } from './series.ts';

describe('autocorrelations', () => {
  it('has a known answer', () => {
    // About its mean of 3: -2, -1, 0, 1, 2. Squares 10; lag 1: 2 + 0 + 0 + 2; lag 2: 0 - 1 + 0; lag 4: -4.
    const rho = autocorrelations([1, 2, 3, 4, 5]);
    expect([0, 1, 2, 3, 4].map(rho)).toEqual([1, 0.4, -0.1, -0.4, -0.4]);
  });

  it('is the same by sums and by the transform', () => {
    const series = firstOrder(500, 0.9, randomOf(3));
    const rho = autocorrelations(series);
    const mean = series.reduce((a, b) => a + b, 0) / 500;
    const sum = (lag: number) =>
      series.slice(lag).reduce((total, value, i) => total + (value - mean) * (series[i]! - mean), 0);
    for (const lag of [0, 1, 63, 64, 65, 200, 499]) expect(rho(lag)).toBeCloseTo(sum(lag) / sum(0), 12);
  });
});

describe('correlationTime', () => {
  it.each(golden.times)('agrees with numpy over $lags lags', ({ series, time }) => {
    expect(correlationTime(series)).toBeCloseTo(time, 8);
  });

  it('of a first-order process is (1 + ρ) / (1 - ρ)', () => {
    const random = randomOf(5);
    for (const rho of [0, 0.5, 0.9]) {
      const known = (1 + rho) / (1 - rho);
      expect(correlationTime(firstOrder(50_000, rho, random)) / known).toBeGreaterThan(0.85);
      expect(correlationTime(firstOrder(50_000, rho, random)) / known).toBeLessThan(1.2);
    }
  });

  it('is 1 where nothing varies or successive values differ, and nearly all of what is one step', () => {
    expect(correlationTime([])).toBe(1);
    expect(correlationTime([7, 7, 7, 7])).toBe(1);
    expect(correlationTime([1, -1, 1, -1, 1, -1])).toBe(1);
    expect(correlationTime(Array.from({ length: 30 }, (_, i) => (i < 15 ? 0 : 1)))).toBeGreaterThan(20);
  });
});

describe('effectiveSize', () => {
  it.each(golden.clusters)('agrees with numpy: $effective', ({ above, sizes, effective }) => {
    expect(effectiveSize(above, sizes)).toBeCloseTo(effective, 8);
  });

  it('is all samples where they are independent, and the requests where each is of one kind', () => {
    const random = randomOf(8);
    const single = Array.from({ length: 2000 }, () => (random() < 0.1 ? 1 : 0));
    expect(
      effectiveSize(
        single,
        single.map(() => 1),
      ) / 2000,
    ).toBeGreaterThan(0.85);
    // All 40 tokens of a request are slow, or none: 2,000 requests know the share as 2,000 samples do, not 80,000.
    const alike = effectiveSize(
      single.map((slow) => 40 * slow),
      single.map(() => 40),
    );
    expect(alike / 2000).toBeGreaterThan(0.85);
    expect(alike).toBeLessThanOrEqual(2000 * 1.001);
  });

  it('never exceeds the samples, and is all of them where no two requests differ', () => {
    expect(effectiveSize([1, 0, 1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1, 1, 1])).toBe(8);
    expect(effectiveSize([2, 2, 2], [5, 5, 5])).toBe(15);
    expect(effectiveSize([0, 0], [1, 1])).toBe(2);
  });
});
