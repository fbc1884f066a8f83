/** Rotation frequencies against numbers worked out by hand from the published formulas. */
import { describe, expect, test } from 'vitest';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { angleTable, frequencies } from '../../../engine/transformer/rope.ts';

const geometry = (name: string): Geometry => geometryOf(name) as Geometry;

describe('Llama 3 (no scaling): 500000^(-2i / 128)', () => {
  const speed = frequencies(geometry('llama-3-8b'));
  test.each([
    [0, 1],
    [1, 0.8146172],
    [16, 0.03760603], // 500000^(-1/4)
    [32, 0.001414214], // 1 / sqrt(500000)
    [63, 2.455141e-6],
  ])('pair %i: %d', (pair, expected) => {
    expect(speed).toHaveLength(64);
    expect((speed[pair] as number) / expected).toBeCloseTo(1, 5);
  });
});

describe('Llama 3.1 (factor 8, original context 8192)', () => {
  const plain = frequencies(geometry('llama-3-8b'));
  const scaled = frequencies(geometry('llama-3.1-8b'));

  // Wavelength 2π * 500000^(i / 64): below 8192 / 4 up to i = 28.2, above 8192 / 1 from i = 34.98 on.
  test('pairs 0 to 28 keep their frequency', () => {
    expect(scaled.slice(0, 29)).toEqual(plain.slice(0, 29));
    expect(scaled[29]).toBeLessThan(plain[29] as number);
  });
  test('pairs 35 to 63 have an eighth of it', () => {
    for (let i = 35; i < 64; i++) expect((scaled[i] as number) / (plain[i] as number)).toBeCloseTo(1 / 8, 12);
    expect((scaled[34] as number) / (plain[34] as number)).toBeGreaterThan(1 / 8);
  });
  test('between them, pair 32 is blended', () => {
    // wavelength 2π * sqrt(500000) = 4442.883; smooth = (8192 / 4442.883 - 1) / (4 - 1) = 0.2812827
    // (1 - 0.2812827) * 0.001414214 / 8 + 0.2812827 * 0.001414214
    expect((scaled[32] as number) / 5.248463e-4).toBeCloseTo(1, 5);
  });
  test('frequencies fall from pair to pair', () => {
    for (let i = 1; i < 64; i++) expect(scaled[i]).toBeLessThan(scaled[i - 1] as number);
  });
});

test('Llama 3.2 (factor 32, heads of 64): the last pair turns 32 times slower', () => {
  const g = geometry('llama-3.2-1b@1/8');
  const speed = frequencies(g);
  expect(speed).toHaveLength(32);
  expect((speed[31] as number) * 32 * 500000 ** (31 / 32)).toBeCloseTo(1, 12);
});

test('the table holds cos and sin of position * frequency', () => {
  const g = geometry('llama-3-8b');
  const table = angleTable(g, 1001);
  const at = (position: number, pair: number) => [...table.subarray(2 * (64 * position + pair)).subarray(0, 2)];
  expect(table).toHaveLength(1001 * 128);
  expect(at(0, 17)).toEqual([1, 0]);
  expect(at(3, 0)).toEqual([Math.fround(-0.9899924966004454), Math.fround(0.1411200080598672)]); // cos 3, sin 3
  // 1000 / sqrt(500000) = sqrt(2): far out the angle is still exact to f32.
  const [cos, sin] = at(1000, 32) as [number, number];
  expect(cos).toBeCloseTo(0.155943694765, 7);
  expect(sin).toBeCloseTo(0.987765945993, 7);
});
