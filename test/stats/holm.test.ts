/** Holm's procedure: worked by hand, and what it promises. */
import { expect, it } from 'vitest';
import { holm } from '../../src/stats/holm.ts';
import { randomOf, share } from './series.ts';

it('counts the smallest for all, the next for all but one, and none for less than the one before', () => {
  const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
  for (const [i, want] of [0.03, 0.06, 0.06, 0.02].entries()) expect(adjusted[i]).toBeCloseTo(want, 12);
  expect(holm([0.6, 0.9])).toEqual([1, 1]);
  expect(holm([0.2])).toEqual([0.2]);
  expect(holm([])).toEqual([]);
});

it('rejects anything in one of twenty families of which nothing is true', () => {
  const random = randomOf(41);
  const wrong = share(4000, () => Math.min(...holm(Array.from({ length: 40 }, () => random()))) <= 0.05);
  expect(wrong).toBeGreaterThan(0.035);
  expect(wrong).toBeLessThan(0.065);
});
