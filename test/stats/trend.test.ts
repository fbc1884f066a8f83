/** Rank correlation and slope against scipy's, and how often the trend test is wrong and right. */
import { describe, expect, it } from 'vitest';
import { medianSlope, spearmanP, spearmanWithTime, trendOf } from '../../src/stats/trend.ts';
import { firstOrder, golden, randomOf, share } from './series.ts';

describe('Spearman', () => {
  it.each(golden.spearman)('agrees with scipy: ρ $rho, p $p', ({ values, rho, p, slope }) => {
    expect(spearmanWithTime(values)).toBeCloseTo(rho, 12);
    expect(spearmanP(rho, values.length)).toBeCloseTo(p, 10);
    expect(medianSlope(values)).toBeCloseTo(slope, 12);
  });

  it('is 0 where all are equal, and certain where each is more than the last', () => {
    expect(spearmanWithTime([4, 4, 4, 4])).toBe(0);
    expect(spearmanP(spearmanWithTime([1, 2, 3, 4, 5]), 5)).toBe(0);
  });
});

/** Logarithms of latencies that spread by `spread` and rise by 30% of the first over the run, or not. */
const series = (n: number, rho: number, spread: number, rise: number, random: () => number): number[] =>
  firstOrder(n, rho, random).map((z, i) => spread * z + Math.log(1 + (rise * i) / n));

describe('trendOf', () => {
  // A plain 5% test has 5, 9 and 39% at 96 requests.
  it.each([
    [96, 0],
    [96, 0.5],
    [96, 0.9],
    [600, 0],
    [600, 0.5],
    [600, 0.9],
  ])('takes chance for a trend in about one steady run of twenty: %i requests, correlation %d', (n, rho) => {
    const random = randomOf(31);
    const wrong = share(800, () => (trendOf(series(n, rho, 0.3, 0, random)).p ?? 1) <= 0.05);
    expect(wrong).toBeGreaterThan(0.01);
    expect(wrong).toBeLessThan(0.085);
  });

  it('finds a rise of 30%', () => {
    const random = randomOf(32);
    const found = (n: number, rho: number, spread: number) =>
      share(100, () => (trendOf(series(n, rho, spread, 0.3, random)).p ?? 1) <= 0.05);
    expect(found(200, 0, 0.1)).toBeGreaterThan(0.95);
    expect(found(2000, 0.5, 0.3)).toBeGreaterThan(0.95);
    expect(found(2000, 0.5, 0.5)).toBeGreaterThan(0.75);
  });

  it('says by how much, up and down', () => {
    const random = randomOf(33);
    const drifts = (rise: number) =>
      Array.from({ length: 50 }, () => trendOf(series(1000, 0, 0.2, rise, random)).drift);
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(drifts(0.3))).toBeCloseTo(0.3, 1);
    expect(mean(drifts(-0.3))).toBeCloseTo(-0.3, 1);
    expect(mean(drifts(0))).toBeCloseTo(0, 1);
  });

  it('does not tell where successive values hardly differ but by what came before', () => {
    const random = randomOf(34);
    const untold = (rho: number) => share(50, () => trendOf(series(100, rho, 0.3, 0, random)).p === null);
    expect(untold(0.99)).toBeGreaterThan(0.5);
    expect(untold(0)).toBeLessThan(0.05);
  });

  it('finds none where nothing varies, and needs two requests a batch', () => {
    expect(trendOf(new Array<number>(100).fill(Math.log(3e6)))).toEqual({ p: 1, drift: 0 });
    expect(() => trendOf(new Array<number>(39).fill(1))).toThrow(RangeError);
  });
});
