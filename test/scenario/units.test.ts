import fc from 'fast-check';
import { expect, test } from 'vitest';
import { durationMs, humanDuration, ratePerSecond, sizeBytes } from '../../src/scenario/units.ts';

test('durations in milliseconds', () => {
  expect(['500ms', '2s', '1.5m', '1h', '0s'].map(durationMs)).toEqual([500, 2000, 90_000, 3_600_000, 0]);
});

test('a number without unit, an unknown unit or a sign is no duration', () => {
  expect(['500', '5 s', '2d', '-1s', 's', '', '1e3s', 'x2s'].map(durationMs)).toEqual(Array(8).fill(null));
});

test('rates in events a second', () => {
  expect(['4/s', '0.5/s', '120/m', '7200/h'].map(ratePerSecond)).toEqual([4, 0.5, 2, 2]);
  expect(['4', '4/d', '/s', '4 / s'].map(ratePerSecond)).toEqual([null, null, null, null]);
});

test('sizes: GB counts in thousands, GiB in 1024s', () => {
  expect(['24GB', '1KiB', '80GiB', '1.5KB', '7B'].map(sizeBytes)).toEqual([24e9, 1024, 80 * 2 ** 30, 1500, 7]);
  expect(['24', '24G', '24gb'].map(sizeBytes)).toEqual([null, null, null]);
});

test('what is written with a unit is read back', () => {
  fc.assert(
    fc.property(fc.nat(1e9), (n) => {
      expect(durationMs(`${n}ms`)).toBe(n);
      expect(durationMs(`${n}s`)).toBe(n * 1000);
      expect(ratePerSecond(`${n}/s`)).toBe(n);
    }),
  );
});

test('durations for people', () => {
  const shown = [850, 12_000, 60_000, 200_000, 3_600_000, 7_500_000].map(humanDuration);
  expect(shown).toEqual(['850 ms', '12 s', '1 min', '3 min 20 s', '1 h', '2 h 5 min']);
});
