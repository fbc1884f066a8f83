import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HdrHistogram } from '../../../src/recorder/histogram.ts';
import { binsOf, fillBins, mergedCounts } from '../../../src/report/charts/histogram-bins.ts';

const encoded = (values: readonly number[]): string => {
  const histogram = HdrHistogram.empty(3);
  for (const value of values) histogram.record(value);
  return histogram.encode();
};

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

describe('reading histograms', () => {
  test('gives back values within the precision of three digits, with their counts', () => {
    const counts = mergedCounts([encoded([1_000_000, 1_000_000, 250_000_000])]);
    expect(counts.map(([, count]) => count)).toEqual([2, 1]);
    expect(Math.abs(counts[0]![0] - 1_000_000)).toBeLessThanOrEqual(1000);
    expect(Math.abs(counts[1]![0] - 250_000_000)).toBeLessThanOrEqual(250_000);
  });

  test('merging adds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 10_000_000_000 }), { maxLength: 30 }), { maxLength: 4 }),
        (runs) => {
          const merged = mergedCounts(runs.map(encoded));
          expect(merged).toEqual(mergedCounts([encoded(runs.flat())]));
          expect(total(merged.map(([, count]) => count))).toBe(runs.flat().length);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('refuses what is no histogram', () => {
    expect(() => mergedCounts(['not one'])).toThrowError(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('bins', () => {
  test('are round, and logarithmic where values spread far', () => {
    expect(binsOf(0, 36, false)).toMatchObject({ scale: 'linear' });
    expect(binsOf(10, 20, false).edges.slice(0, 3)).toEqual([10, 10.5, 11]);
    expect(binsOf(1, 1000, false).scale).toBe('log');
    expect(binsOf(3, 5, true).edges).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(binsOf(1, 1000, true).scale).toBe('linear');
  });

  test('hold every value, rise, and stay few', () => {
    // As they come out of a histogram: whole nanoseconds, shown as milliseconds.
    const ns = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 600_000_000_000 }));
    const span = fc.tuple(ns, ns).map(([a, b]) => [Math.min(a, b) / 1e6, Math.max(a, b) / 1e6] as const);
    fc.assert(
      fc.property(span, fc.boolean(), ([low, high], whole) => {
        const { edges } = binsOf(low, high, whole);
        expect(edges[0]!).toBeLessThanOrEqual(low);
        expect(edges.at(-1)!).toBeGreaterThanOrEqual(high);
        expect(edges.length).toBeLessThan(90);
        for (let i = 1; i < edges.length; i++) expect(edges[i]!).toBeGreaterThan(edges[i - 1]!);
      }),
    );
  });

  test('no sample is lost, and each is where it belongs', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 50 }), (values) => {
        const counts = [...values].sort((a, b) => a - b).map((value) => [value, 1] as const);
        const { edges } = binsOf(counts[0]![0], counts.at(-1)![0], false);
        const bins = fillBins(counts, edges, 1);
        const last = edges.length - 2;
        bins.forEach((count, i) => {
          const inside = values.filter((value) => value >= edges[i]! && (value < edges[i + 1]! || i === last));
          expect(count).toBe(inside.length);
        });
      }),
    );
  });
});
