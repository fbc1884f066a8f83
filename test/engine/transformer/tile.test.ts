/** Rows into the layouts of weights: f16 element by element, and every format as kernels/weight-format.ts encodes it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeColumns, type WeightLayout, wordsOf } from '../../../engine/kernels/weight-format.ts';
import { floatsOf } from '../../../engine/tensor-files/half.ts';
import { tileRows } from '../../../engine/transformer/tile.ts';

const PLAIN: WeightLayout = { format: 'f16', pack: 1 };

/** Bits that say where they are: row in the high byte, column in the low one, so that any two differ. */
const bitsAt = (row: number, column: number): number => ((row % 256) << 8) | (column % 256);

test('a pair of row 33, columns 4 and 5, lies in the second tile', () => {
  const k = 6;
  const rows = Uint16Array.from({ length: 64 * k }, (_, i) => bitsAt(Math.floor(i / k), i % k));
  const words = new Uint32Array((64 * k) / 2);
  tileRows(new Uint32Array(rows.buffer), 64, k, PLAIN, words);
  expect(words[32 * 3 + 2 * 32 + 1]).toBe((bitsAt(33, 5) << 16) | bitsAt(33, 4));
});

test('every element of any shape', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 70 }), (tiles, halfIn) => {
      const [n, k] = [32 * tiles, 2 * halfIn];
      const rows = Uint16Array.from({ length: n * k }, (_, i) => bitsAt(Math.floor(i / k), i % k));
      const words = new Uint32Array((n * k) / 2 + 1).fill(0xdead);
      tileRows(new Uint32Array(rows.buffer), n, k, PLAIN, words);
      for (let row = 0; row < n; row++) {
        for (let pair = 0; pair < halfIn; pair++) {
          const word = words[Math.floor(row / 32) * halfIn * 32 + pair * 32 + (row % 32)] as number;
          expect(word).toBe(((bitsAt(row, 2 * pair + 1) << 16) | bitsAt(row, 2 * pair)) >>> 0);
        }
      }
      expect(words.at(-1)).toBe(0xdead);
    }),
    { numRuns: 30 },
  );
});

test.each<[WeightLayout, number]>([
  [{ format: 'f16', pack: 8 }, 16],
  [{ format: 'int8', pack: 1 }, 64],
  [{ format: 'int8', pack: 4 }, 64],
  [{ format: 'int4', pack: 1 }, 64],
  [{ format: 'int4', pack: 4 }, 64],
])('$format by $pack is what encodeColumns() makes of the numbers', (layout, unit) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }), fc.nat(), (tiles, units, key) => {
      const [n, k] = [32 * tiles, unit * units];
      // Finite numbers of every size up to 255: exponents vary from value to value, so groups do too.
      const rows = Uint16Array.from({ length: n * k }, (_, i) => (Math.imul(i + key, 0x9e3779b1) >>> 8) & 0xdbff);
      const values = floatsOf(new Uint8Array(rows.buffer), 'f16');
      const words = new Uint32Array(wordsOf(layout, n, k) + 1).fill(0xdead);
      tileRows(new Uint32Array(rows.buffer), n, k, layout, words);
      expect(words.subarray(0, -1)).toEqual(encodeColumns(values, n, k, layout));
      expect(words.at(-1)).toBe(0xdead);
    }),
    { numRuns: 20 },
  );
});
