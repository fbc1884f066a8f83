/** HDR histograms: precision, encoding, merging, and the guards the library lacks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { ADAPTER_DIGITS, HdrHistogram, HIGHEST, RUN_DIGITS } from '../../src/recorder/histogram.ts';
import { nearestRank } from '../../src/stats/nearest-rank.ts';

const filled = (digits: 2 | 3, values: number[]) => {
  const histogram = HdrHistogram.empty(digits);
  for (const value of values) histogram.record(value);
  return histogram;
};
const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 2 ** 40 })), {
  minLength: 1,
  maxLength: 100,
});

describe('a histogram', () => {
  it.each([RUN_DIGITS, ADAPTER_DIGITS] as const)('of %i digits keeps percentiles to that precision', (digits) => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 1000 }), (samples, perMille) => {
        const p = perMille / 1000;
        const exact = nearestRank(
          samples.toSorted((a, b) => a - b),
          p,
        );
        const got = filled(digits, samples).percentile(p);
        expect(got).toBeGreaterThanOrEqual(exact);
        expect(got).toBeLessThanOrEqual(exact + Math.max(1, exact / 10 ** digits));
      }),
    );
  });

  it('comes back from its encoding, which begins as the V2 compressed format does', () => {
    fc.assert(
      fc.property(values, (samples) => {
        const encoded = filled(3, samples).encode();
        expect(encoded).toMatch(/^HISTFAAA[A-Za-z0-9+/]+=*$/);
        const back = HdrHistogram.decode(encoded);
        expect(back.count).toBe(samples.length);
        for (const p of [0.01, 0.5, 0.9, 0.99, 1]) expect(back.percentile(p)).toBe(filled(3, samples).percentile(p));
        expect(back.encode()).toBe(encoded);
      }),
      { numRuns: 40 },
    );
    expect(HdrHistogram.decode(HdrHistogram.empty(2).encode()).count).toBe(0);
  });

  it('merges as if all had been recorded in one', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const merged = HdrHistogram.decode(filled(3, a).encode());
        merged.add(HdrHistogram.decode(filled(3, b).encode()));
        expect(merged.encode()).toBe(filled(3, [...a, ...b]).encode());
      }),
      { numRuns: 40 },
    );
    expect(() => filled(3, [1]).add(filled(2, [1]))).toThrow(BenchError);
  });

  it('counts a value as often as told', () => {
    const histogram = HdrHistogram.empty(3);
    histogram.record(5, 3);
    histogram.record(7, 0);
    expect([histogram.count, histogram.percentile(1)]).toEqual([3, 5]);
  });

  it.each([[-1], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY], [HIGHEST + 1], [1, -1], [1, 0.5]])(
    'refuses %s',
    (value, count = 1) => {
      const histogram = HdrHistogram.empty(3);
      expect(() => histogram.record(value, count)).toThrow(BenchError);
      expect(histogram.count).toBe(0);
    },
  );

  it('takes the whole range', () => {
    const histogram = filled(3, [0, HIGHEST]);
    expect(histogram.count).toBe(2);
    expect(HdrHistogram.decode(histogram.encode()).percentile(1) / HIGHEST).toBeCloseTo(1, 2);
  });

  it('refuses what is no histogram', () => {
    for (const text of ['', 'HISTFAAA', 'hello', 'AAAAAAAAAAAA'])
      expect(() => HdrHistogram.decode(text)).toThrow(/no HDR histogram/);
  });
});
