import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changeText, figure, listText, plural, ratioText, shareText } from '../../src/report/numbers.ts';

describe('figure', () => {
  test.each([
    [0, '0'],
    [0.01234, '0.012'],
    [0.9996, '1.00'],
    [1.2345, '1.23'],
    [9.996, '10.0'],
    [12.34, '12.3'],
    [99.96, '100'],
    [123.4, '123'],
    [1234.5, '1,235'],
    [-12.34, '-12.3'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
  ])('%d is "%s"', (value, text) => {
    expect(figure(value)).toBe(text);
  });

  test('is never further off than half a percent, and never a false zero', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.11, max: 1e9, noNaN: true }), (value) => {
        const read = Number(figure(value).replaceAll(',', ''));
        expect(Math.abs(read - value)).toBeLessThanOrEqual(value * 0.0051);
      }),
    );
    expect(Number(figure(1e-7))).toBeGreaterThan(0);
  });
});

test.each([
  [1.253, '1.25×', '+25 %'],
  [1.004, '1.00×', '+0.4 %'],
  [1, '1.00×', '±0 %'],
  [0.97, '0.97×', '−3 %'],
  [0.9986, '1.00×', '−0.1 %'],
  [12.34, '12.3×', '+1,134 %'],
  [Number.NaN, '–', '–'],
])('a ratio of %d is %s, %s', (ratio, asRatio, asChange) => {
  expect(ratioText(ratio)).toBe(asRatio);
  expect(changeText(ratio)).toBe(asChange);
});

test.each([
  [0, '0 %'],
  [0.0004, '< 0.1 %'],
  [0.0625, '6.3 %'],
  [0.9999, '> 99.9 %'],
  [1, '100 %'],
])('a share of %d is %s', (share, text) => {
  expect(shareText(share)).toBe(text);
});

test('lists and plurals', () => {
  expect([listText([]), listText([1]), listText([1, 8]), listText([1, 8, 32])]).toEqual([
    '',
    '1',
    '1 and 8',
    '1, 8 and 32',
  ]);
  expect([plural(0, 'run'), plural(1, 'run'), plural(1200, 'run')]).toEqual(['0 runs', '1 run', '1,200 runs']);
});
