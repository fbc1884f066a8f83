/** Levels over time against a count at every moment. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstReach, meanOver, stepsOf } from '../../src/stats/step-function.ts';

const spanChanges = (spans: { from: number; to: number }[]) =>
  spans.flatMap(({ from, to }) => [
    { at: from, by: 1 },
    { at: to, by: -1 },
  ]);

it('holds a level between changes and averages over time', () => {
  const steps = stepsOf(
    spanChanges([
      { from: 0, to: 10 },
      { from: 5, to: 10 },
    ]),
  );
  expect(steps).toEqual([
    { from: 0, value: 1 },
    { from: 5, value: 2 },
    { from: 10, value: 0 },
  ]);
  expect(meanOver(steps, 0, 10)).toBe(1.5);
  expect(meanOver(steps, 0, 20)).toBe(0.75);
  expect(meanOver(steps, -10, 0)).toBe(0);
  expect(firstReach(steps, 2)).toBe(5);
  expect(firstReach(steps, 3)).toBeNull();
  expect(() => meanOver(steps, 4, 4)).toThrow(RangeError);
});

it('does not show a level that lasts no time: one ends as the next starts', () => {
  const steps = stepsOf(
    spanChanges([
      { from: 0, to: 5 },
      { from: 5, to: 9 },
    ]),
  );
  expect(firstReach(steps, 2)).toBeNull();
});

it('agrees with counting at every unit of time', () => {
  const span = fc
    .record({ from: fc.integer({ min: 0, max: 30 }), length: fc.integer({ min: 0, max: 12 }) })
    .map(({ from, length }) => ({ from, to: from + length }));
  fc.assert(
    fc.property(
      fc.array(span, { maxLength: 12 }),
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 1, max: 25 }),
      (spans, from, length) => {
        let area = 0;
        for (let t = from; t < from + length; t++) area += spans.filter((s) => s.from <= t && t < s.to).length;
        expect(meanOver(stepsOf(spanChanges(spans)), from, from + length)).toBeCloseTo(area / length, 9);
      },
    ),
  );
});
