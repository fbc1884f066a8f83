import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rngOf } from '../../src/workload/rng.ts';

const draws = (seed: number, name: string, n = 50) => {
  const rng = rngOf(seed, name);
  return Array.from({ length: n }, () => rng.unit());
};

test('a stream is fixed by seed and name, and by nothing else', () => {
  expect(draws(1, 'a')).toEqual(draws(1, 'a'));
  expect(draws(1, 'a')).not.toEqual(draws(1, 'b'));
  expect(draws(1, 'a')).not.toEqual(draws(2, 'a'));
  expect(rngOf(1, 'a', 'b').unit()).not.toBe(rngOf(1, 'ab').unit());
});

test('neighbouring seeds start unrelated: first draws over many seeds are uniform', () => {
  const n = 4000;
  const firsts = Array.from({ length: n }, (_, seed) => rngOf(seed, 'x').unit());
  const mean = firsts.reduce((sum, u) => sum + u, 0) / n;
  expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / n)); // four standard errors; the seeds are fixed
  const lag = firsts.slice(1).reduce((sum, u, i) => sum + (u - 0.5) * (firsts[i]! - 0.5), 0) / (n / 12);
  expect(Math.abs(lag)).toBeLessThan(4 / Math.sqrt(n));
});

test('below(n) is a whole number in range; shuffle keeps the items', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 1000 }), (seed, n) => {
      const rng = rngOf(seed, 'x');
      const value = rng.below(n);
      expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
      const items = Array.from({ length: n % 20 }, (_, i) => i);
      expect([...rng.shuffle([...items])].sort((a, b) => a - b)).toEqual(items);
    }),
  );
});
