/** Weighted ranks against a list in which every sample is repeated. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Ranked } from '../../src/stats/ranked.ts';

it('gives the rank-th smallest, once each without weights', () => {
  const ranked = new Ranked([5, 1, 4, 1]);
  expect(ranked.total).toBe(4);
  expect([1, 2, 3, 4, 5].map((rank) => ranked.at(rank))).toEqual([1, 1, 4, 5, undefined]);
  expect(new Ranked([]).at(1)).toBeUndefined();
});

it('is the list with every sample repeated', () => {
  const pair = fc.record({ value: fc.integer({ min: 0, max: 20 }), weight: fc.integer({ min: 0, max: 5 }) });
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 30 }), (pairs) => {
      const ranked = new Ranked(
        pairs.map(({ value }) => value),
        pairs.map(({ weight }) => weight),
      );
      const repeated = pairs
        .flatMap(({ value, weight }) => new Array<number>(weight).fill(value))
        .sort((a, b) => a - b);
      expect(ranked.total).toBe(repeated.length);
      for (let rank = 1; rank <= repeated.length + 1; rank++) expect(ranked.at(rank)).toBe(repeated[rank - 1]);
      const runs: number[] = [];
      ranked.forEachRun((value, count) => {
        for (let i = 0; i < count; i++) runs.push(value);
      });
      expect(runs.sort((a, b) => a - b)).toEqual(repeated);
    }),
  );
});
