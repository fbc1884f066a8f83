/** Ranks of intervals against scipy's binomial, and whether the intervals hold what they promise to. */
import { describe, expect, it } from 'vitest';
import { enclosingRanks, independentRanks } from '../../src/stats/percentile-interval.ts';
import { golden, normal, randomOf, share } from './series.ts';

describe('independentRanks', () => {
  it.each(golden.ranks)('of p$p among $n', ({ p, n, ranks }) => {
    expect(independentRanks(p, n)).toEqual(ranks);
  });

  it.each(golden.ranks95)('at 95%, of p$p among $n', ({ p, n, ranks }) => {
    expect(independentRanks(p, n, 0.95)).toEqual(ranks);
  });

  it('hold the percentile of independent samples in 99 of 100 cases', () => {
    const random = randomOf(11);
    const [low, high] = independentRanks(0.9, 200)!;
    const held = share(2000, () => {
      const ascending = Float64Array.from({ length: 200 }, () => random()).sort();
      return ascending[low - 1]! <= 0.9 && 0.9 <= ascending[high - 1]!;
    });
    expect(held).toBeGreaterThan(0.985);
    expect(held).toBeLessThan(0.999); // a wider one than was promised would be no better
  });
});

describe('enclosingRanks', () => {
  it('are those of independent samples where all are, and wider the fewer they are worth', () => {
    expect(enclosingRanks(0.5, 1000, 1000)).toEqual(independentRanks(0.5, 1000));
    const widths = [1000, 500, 100, 20].map((effective) => {
      const [low, high] = enclosingRanks(0.5, 1000, effective)!;
      return high - low;
    });
    expect(widths).toEqual(widths.toSorted((a, b) => a - b));
    expect(new Set(widths).size).toBe(4);
  });

  it('are stretched outwards: 8 of 80 samples reach from the first to the last', () => {
    expect(enclosingRanks(0.5, 80, 8.9)).toEqual([1, 80]);
    // Ranks 2 and 9 of 10 are those of the 11th to the 90th of 100.
    expect(independentRanks(0.5, 14)).toEqual([2, 13]);
    expect(enclosingRanks(0.5, 140, 14)).toEqual([11, 130]);
  });

  it('are none where the samples are worth too few', () => {
    expect(enclosingRanks(0.99, 100_000, 527.9)).toBeNull();
    expect(enclosingRanks(0.99, 100_000, 528)).not.toBeNull();
    expect(enclosingRanks(0.5, 100, 0.4)).toBeNull();
  });

  it('hold the median of samples that come ten at a time in 99 of 100 cases', () => {
    const random = randomOf(12);
    const [low, high] = enclosingRanks(0.5, 500, 50)!;
    const held = share(1000, () => {
      const tens = Array.from({ length: 50 }, () => normal(random));
      const ascending = Float64Array.from({ length: 500 }, (_, i) => tens[Math.floor(i / 10)]!).sort();
      return ascending[low - 1]! <= 0 && 0 <= ascending[high - 1]!;
    });
    expect(held).toBeGreaterThan(0.98);
  });
});
