/** Blocks of statistics in AIPerf's form, against the samples they stand for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outputTokens } from '../../src/metrics/output-tokens.ts';
import { serviceTtft } from '../../src/metrics/service-ttft.ts';
import { adjustedStats, observedStats, perUserStats } from '../../src/result/aiperf-stats.ts';
import type { Distribution } from '../../src/result/schema.ts';
import { nearestRank } from '../../src/stats/nearest-rank.ts';
import { failed, input, record } from '../metrics/records.ts';

const SHARES = { p1: 0.01, p5: 0.05, p10: 0.1, p25: 0.25, p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 };
const KEPT = ['p50', 'p90', 'p95', 'p99'];
const PRECISION = 1e-3;

/** Requests that gave content after so long, and requests that failed after so long. */
const distribution = (valuesMs: number[], failedMs: number[] = []): Distribution =>
  serviceTtft.compute(
    input([
      ...valuesMs.map((value) => record({ chunks: [[value, 1]] })),
      ...failedMs.map((endMs) => failed({ endMs })),
    ]),
  ) as Distribution;

/** Thousandths of a millisecond up to some seconds, so that nanoseconds are whole. */
const times = fc.array(
  fc.integer({ min: 1, max: 5_000_000 }).map((n) => n / 1000),
  { minLength: 1, maxLength: 300 },
);

describe('what was observed', () => {
  it('has the moments and percentiles of the samples', () => {
    fc.assert(
      fc.property(times, (samples) => {
        const ascending = samples.toSorted((a, b) => a - b);
        const stats = observedStats(distribution(samples));
        const sum = samples.reduce((a, b) => a + b, 0);
        const mean = sum / samples.length;
        const variance = samples.reduce((total, value) => total + (value - mean) ** 2, 0) / samples.length;
        expect(stats).toMatchObject({ unit: 'ms', count: samples.length, min: ascending[0], max: ascending.at(-1) });
        expect(stats.avg).toBeCloseTo(mean, 6);
        expect(stats.sum).toBeCloseTo(sum, 4);
        expect(stats.std).toBeCloseTo(Math.sqrt(variance), 6);
        for (const [name, share] of Object.entries(SHARES)) {
          const exact = nearestRank(ascending, share);
          const got = stats[name as keyof typeof SHARES] as number;
          if (KEPT.includes(name)) expect(got).toBe(exact);
          else expect(Math.abs(got - exact)).toBeLessThanOrEqual(PRECISION * exact);
        }
      }),
    );
  });

  it('never falls from one percentile to the next, nor leaves the range', () => {
    fc.assert(
      fc.property(times, fc.boolean(), (samples, failing) => {
        const { min, max, ...stats } = observedStats(distribution(samples, failing ? [1] : []));
        const rising = [min, ...Object.keys(SHARES).map((name) => stats[name as keyof typeof SHARES]), max] as number[];
        expect(rising).toEqual(rising.toSorted((a, b) => a - b));
      }),
    );
  });

  it('is of those that succeeded, however soon the others failed', () => {
    const stats = observedStats(distribution([10, 20, 30, 40], [1, 1, 1, 1, 1, 1]));
    expect(stats).toMatchObject({ count: 4, avg: 25, min: 10, sum: 100 });
    for (const [name, exact] of Object.entries({ p25: 10, p50: 20, p75: 30, p99: 40, max: 40 })) {
      expect(stats[name as 'p50']).toBeCloseTo(exact, 1);
    }
  });

  it('has no spread in one sample', () => {
    expect(observedStats(distribution([7]))).toMatchObject({ count: 1, avg: 7, std: 0, p1: 7, p99: 7, max: 7 });
  });

  it('counts tokens whole', () => {
    const requests = [3, 5, 200].map((tokens) => record({ chunks: [[1, tokens]] }));
    const tokens = outputTokens.compute(input(requests)) as Distribution;
    expect(observedStats(tokens)).toMatchObject({ unit: 'tokens', min: 3, p25: 3, p75: 200, max: 200, sum: 208 });
  });
});

describe('with errors that take forever', () => {
  it('has percentiles as far as requests succeeded, and nothing that would be infinite', () => {
    const stats = adjustedStats(distribution([10, 20, 30, 40, 50, 60, 70, 80], [1, 1]));
    expect(stats).toMatchObject({ unit: 'ms', count: 10, min: 10, p50: 50 });
    expect(stats.p10).toBeCloseTo(10, 1);
    expect(stats.p75).toBeCloseTo(80, 1);
    for (const name of ['p90', 'p95', 'p99', 'max', 'avg', 'sum', 'std']) expect(stats).not.toHaveProperty(name);
  });
});

describe('a reader of one stream', () => {
  it('sees the reciprocal, fast requests last', () => {
    const stats = perUserStats(distribution([10, 20, 40, 50]));
    expect(stats?.unit).toBe('tokens/sec/user');
    expect(stats?.count).toBe(4);
    const expected = { min: 20, p25: 20, p50: 25, p75: 50, max: 100, avg: 48.75, sum: 195, std: 31.697 };
    for (const [name, exact] of Object.entries(expected)) {
      const got = stats?.[name as 'avg'] as number;
      expect(Math.abs(got - exact) / exact).toBeLessThan(PRECISION * 2);
    }
  });

  it('has no rate where all tokens came at once', () => {
    expect(perUserStats(distribution([0, 10]))?.count).toBe(1);
    expect(perUserStats(distribution([0]))).toBeNull();
  });
});
