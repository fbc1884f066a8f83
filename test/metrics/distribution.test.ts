/** Distributions: percentiles against brute force, and what censoring does to them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distributionOf, MILLISECONDS } from '../../src/metrics/distribution.ts';
import { samplesOf } from '../../src/metrics/samples.ts';
import { HdrHistogram } from '../../src/recorder/histogram.ts';
import { type Distribution, isDistribution } from '../../src/result/schema.ts';
import { ms, samplesFrom } from './records.ts';

const PER_ONE = { unit: 'tokens', per: 1 };

function of(values: number[], bounds: number[] = [], weights?: number[]): Distribution {
  const made = distributionOf(samplesFrom(values, bounds, weights), PER_ONE);
  if (!isDistribution(made)) throw new Error(made.reason);
  return made;
}

const NAMED = [
  ['p50', 500],
  ['p90', 900],
  ['p95', 950],
  ['p99', 990],
  ['p999', 999],
] as const;

describe('observed samples', () => {
  it('has known answers for 1 to 10', () => {
    const d = of([10, 1, 9, 2, 8, 3, 7, 4, 6, 5]);
    expect(d).toMatchObject({ count: 10, nEff: 10, mean: 5.5, min: 1, max: 10, censored: 0, ci99: null });
    expect([d.p50, d.p90, d.p95, d.p99, d.p999]).toEqual([5, 9, 10, 10, 10]);
    expect(d.std).toBeCloseTo(Math.sqrt(82.5 / 9), 12);
  });

  it('gives milliseconds of nanoseconds, and keeps nanoseconds in the histogram', () => {
    const d = distributionOf(samplesFrom([ms(3), ms(1), ms(2)]), MILLISECONDS) as Distribution;
    expect(d).toMatchObject({ unit: 'ms', min: 1, p50: 2, max: 3, mean: 2, std: 1 });
    const histogram = HdrHistogram.decode(d.hdr);
    expect(histogram.count).toBe(3);
    expect(histogram.percentile(0.5) / ms(2)).toBeCloseTo(1, 3);
  });

  it('agrees with sorting and counting', () => {
    const values = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(values, (samples) => {
        const d = of(samples);
        const sorted = samples.toSorted((a, b) => a - b);
        for (const [name, perMille] of NAMED) {
          expect(d[name]).toBe(sorted[Math.floor((perMille * sorted.length + 999) / 1000) - 1]);
        }
        expect([d.min, d.max, d.count]).toEqual([sorted[0], sorted.at(-1), sorted.length]);
      }),
    );
  });

  it('counts a weighted sample as often as its weight', () => {
    const pair = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(
        fc.array(pair, { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 5 }),
        (pairs, bounds) => {
          const weighted = of(
            pairs.map(([v]) => v),
            bounds,
            pairs.map(([, w]) => w),
          );
          const each = samplesOf([...pairs, ...bounds], (one, into) => {
            if (typeof one === 'number') into.censor(one);
            else for (let i = 0; i < one[1]; i++) into.see(one[0]);
          });
          const repeated = distributionOf(each, PER_ONE) as Distribution;
          expect({ ...weighted, mean: 0, std: 0 }).toEqual({ ...repeated, mean: 0, std: 0 });
          expect(weighted.mean).toBeCloseTo(repeated.mean, 9);
          expect(weighted.std).toBeCloseTo(repeated.std, 9);
        },
      ),
    );
  });
});

describe('censored samples', () => {
  it('push percentiles up however early they ended', () => {
    // 98 good requests of 1..98 ms and two that failed at once: p50 is the 50th good one, p99 nobody has seen.
    const good = Array.from({ length: 98 }, (_, i) => i + 1);
    const d = of(good, [0, 0]);
    expect(d).toMatchObject({ count: 100, censored: 2, p50: 50, p90: 90, p95: 95, mean: 49.5 });
    // At least the 99th of all with both failures taken as 0 ms: the 97th good one.
    expect(d.p99).toEqual({ gt: 97 });
    expect(d.max).toEqual({ gt: 98 });
  });

  it('bound a percentile by how long they had been waited for', () => {
    const d = of([1, 2], [5, 9]);
    expect(d.p50).toBe(2);
    expect(d.p90).toEqual({ gt: 9 });
    expect(d.max).toEqual({ gt: 9 });
    expect(of([1, 2], [5, 9, 9, 9]).p50).toEqual({ gt: 5 });
  });

  it('never make a percentile better, and a bound is never above the truth', () => {
    const truth = fc.array(
      fc.record({ value: fc.integer({ min: 0, max: 100 }), cut: fc.option(fc.integer({ min: 0, max: 100 })) }),
      {
        minLength: 1,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(truth, (samples) => {
        const seen = samples.filter(({ value, cut }) => cut === null || value < cut).map(({ value }) => value);
        const bounds = samples.filter(({ value, cut }) => cut !== null && value >= cut).map(({ cut }) => cut as number);
        if (seen.length === 0) return;
        const d = of(seen, bounds);
        const uncut = of(samples.map(({ value }) => value));
        for (const [name] of [...NAMED, ['max']] as const) {
          const [got, real] = [d[name], uncut[name] as number];
          if (typeof got === 'number') expect(got).toBeGreaterThanOrEqual(real);
          else expect(got.gt).toBeLessThanOrEqual(real);
        }
      }),
    );
  });

  it('alone make the metric unavailable, with the reason', () => {
    expect(distributionOf(samplesFrom([], [1, 2]), PER_ONE)).toMatchObject({
      count: 0,
      reason: expect.stringContaining('failed or was cancelled'),
    });
    expect(distributionOf(samplesFrom([]), PER_ONE)).toEqual({
      unit: 'tokens',
      count: 0,
      reason: 'no request has a value',
    });
  });
});
