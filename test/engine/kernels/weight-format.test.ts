/** The three formats by hand, and what holds of any matrix: where each value lies, what comes back, and how near it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeColumns,
  encodeColumns,
  layoutConstants,
  type WeightFormat,
  type WeightLayout,
  wordsOf,
} from '../../../engine/kernels/weight-format.ts';
import { fromHalf, toHalf } from '../../../engine/tensor-files/half.ts';

const LAYOUTS: WeightLayout[] = [
  { format: 'f16', pack: 1 },
  { format: 'f16', pack: 8 },
  { format: 'int8', pack: 1 },
  { format: 'int8', pack: 4 },
  { format: 'int4', pack: 1 },
  { format: 'int4', pack: 4 },
];
const named = LAYOUTS.map((layout) => ({ name: `${layout.format} by ${layout.pack}`, layout }));
const MOST = { int8: 127, int4: 7 };

/** A matrix of zeros but for what is said: [column, k, value]. */
function matrix(n: number, k: number, elements: [number, number, number][]): Float32Array {
  const values = new Float32Array(n * k);
  for (const [column, at, value] of elements) values[column * k + at] = value;
  return values;
}

/** Words that are not 0, but for the zeros of int4, as [index, hexadecimal]. */
const marked = (words: Uint32Array, zero = 0) =>
  [...words].flatMap((word, i) => (word === zero || word === 0 ? [] : [[i, word.toString(16)]]));

describe('known answers', () => {
  it('f16: column 33, values 4 and 5, are word 2 of lane 1 of the second tile', () => {
    const values = matrix(64, 16, [
      [33, 4, 1],
      [33, 5, -2],
    ]);
    expect(marked(encodeColumns(values, 64, 16, { format: 'f16', pack: 1 }))).toEqual([[256 + 2 * 32 + 1, 'c0003c00']]);
    expect(marked(encodeColumns(values, 64, 16, { format: 'f16', pack: 8 }))).toEqual([[256 + 8 + 2, 'c0003c00']]);
  });

  it('f16 by 8: sixteen values of 32 columns are one block, column-major with stride 16', () => {
    const [n, k] = [64, 48];
    const values = Float32Array.from({ length: n * k }, (_, i) => i % 2039);
    const halves = new Uint16Array(encodeColumns(values, n, k, { format: 'f16', pack: 8 }).buffer);
    for (const [column, at] of [
      [0, 0],
      [31, 15],
      [5, 17],
      [40, 33],
      [63, 47],
    ] as const) {
      const block = Math.floor(column / 32) * (k / 16) + Math.floor(at / 16);
      expect(fromHalf(halves[block * 512 + (column % 32) * 16 + (at % 16)] as number)).toBe(values[column * k + at]);
    }
  });

  it('int8: bytes of two groups, each by its own scale', () => {
    // Column 2 of the second block along k: 254 -> scale 2; -127 and 63.5 -> scale 1, and half goes to even.
    const values = matrix(32, 128, [
      [2, 64, 254],
      [2, 65, -4],
      [2, 64 + 7, 3],
      [2, 96, -127],
      [2, 127, 63.5],
    ]);
    const expected = (data: (d: number) => number) => [
      [544 + data(0), 'fe7f'],
      [544 + data(1), '2000000'],
      [544 + data(8), '81'],
      [544 + data(15), '40000000'],
      [544 + 16 * 32 + 2, '3c004000'],
    ];
    expect(marked(encodeColumns(values, 32, 128, { format: 'int8', pack: 1 }))).toEqual(expected((d) => d * 32 + 2));
    expect(marked(encodeColumns(values, 32, 128, { format: 'int8', pack: 4 }))).toEqual(
      expected((d) => (d - (d % 4)) * 32 + 8 + (d % 4)),
    );
  });

  it('int4: nibbles above 8, each group by its own scale', () => {
    // Column 31: 3.5 -> scale 0.5; 14 -> scale 2, of which 3 is one and a half: two, the even one.
    const values = matrix(32, 64, [
      [31, 0, 3.5],
      [31, 1, -3.5],
      [31, 2, 0.25],
      [31, 32, 14],
      [31, 63, 3],
    ]);
    const expected = (data: (d: number) => number) => [
      [data(0), '8888881f'],
      [data(4), '8888888f'],
      [data(7), 'a8888888'],
      [8 * 32 + 31, '40003800'],
    ];
    const zeros = 0x88888888;
    expect(marked(encodeColumns(values, 32, 64, { format: 'int4', pack: 1 }), zeros)).toEqual(
      expected((d) => d * 32 + 31),
    );
    expect(marked(encodeColumns(values, 32, 64, { format: 'int4', pack: 4 }), zeros)).toEqual(
      expected((d) => (d - (d % 4)) * 32 + 124 + (d % 4)),
    );
  });

  it('values too small for a normal scale share the smallest one', () => {
    const values = matrix(32, 64, [
      [0, 0, 2 ** -10],
      [0, 1, 2 ** -14],
      [0, 2, 2 ** -30],
    ]);
    const decoded = decodeColumns(encodeColumns(values, 32, 64, { format: 'int8', pack: 4 }), 32, 64, {
      format: 'int8',
      pack: 4,
    });
    expect([...decoded.slice(0, 4)]).toEqual([2 ** -10, 2 ** -14, 0, 0]);
  });

  it('a buffer that nothing was written to holds zeros', () => {
    for (const { layout } of named) {
      const decoded = decodeColumns(new Uint32Array(wordsOf(layout, 32, 64)), 32, 64, layout);
      expect(decoded.every((value) => value === 0)).toBe(true);
    }
  });

  it('counts words and names the overrides', () => {
    expect(LAYOUTS.map((layout) => wordsOf(layout, 64, 128))).toEqual([4096, 4096, 2176, 2176, 1152, 1152]);
    expect(LAYOUTS.map(layoutConstants)).toEqual([
      { FORMAT: 0, PACK: 1 },
      { FORMAT: 0, PACK: 8 },
      { FORMAT: 1, PACK: 1 },
      { FORMAT: 1, PACK: 4 },
      { FORMAT: 2, PACK: 1 },
      { FORMAT: 2, PACK: 4 },
    ]);
  });

  it.each([
    [{ format: 'f16', pack: 8 }, 32, 24, 'multiples of 32 and 16'],
    [{ format: 'f16', pack: 1 }, 33, 64, 'multiples of 32 and 2'],
    [{ format: 'int4', pack: 4 }, 32, 96, 'multiples of 32 and 64'],
    [{ format: 'int4', pack: 8 }, 32, 64, 'no layout of 8 words'],
  ] as [WeightLayout, number, number, string][])('refuses %o of %i x %i', (layout, n, k, why) => {
    expect(() => wordsOf(layout, n, k)).toThrow(why);
    expect(() => decodeColumns(new Uint32Array(n * k), n, k, layout)).toThrow(why);
  });
});

/** Matrices whose groups differ in size by far, so that a scale taken from the wrong one shows. */
const anyMatrix = fc
  .record({
    n: fc.integer({ min: 1, max: 3 }).map((tiles) => 32 * tiles),
    k: fc.integer({ min: 1, max: 4 }).map((blocks) => 64 * blocks),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .map(({ n, k, seed }) => {
    let state = seed;
    const next = () => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
    };
    const sizes = Array.from({ length: (n * k) / 32 }, () => 2 ** Math.floor(12 * next() - 6));
    const values = Float32Array.from({ length: n * k }, (_, i) => (2 * next() - 1) * (sizes[i >> 5] as number));
    return { n, k, values };
  });
const RUNS = { numRuns: 25 };

describe.each(named)('$name, any matrix', ({ layout }) => {
  const { format } = layout;

  it('comes back as near as the format can', () => {
    fc.assert(
      fc.property(anyMatrix, ({ n, k, values }) => {
        const decoded = decodeColumns(encodeColumns(values, n, k, layout), n, k, layout);
        for (let at = 0; at < n * k; at += 32) {
          const group = values.subarray(at, at + 32);
          const largest = Math.max(...group.map(Math.abs));
          for (const [i, value] of group.entries()) {
            // Half a step of the format; the scale's own rounding moves the steps by 2^-11 of themselves.
            const step = format === 'f16' ? Math.abs(value) * 2 ** -10 + 2 ** -24 : largest / MOST[format];
            const error = Math.abs((decoded[at + i] as number) - value);
            if (!(error <= (step / 2) * (1 + 2 ** -10) + largest * 2 ** -20)) {
              expect.fail(`${value} came back as ${decoded[at + i]}, in a group of ${largest}`);
            }
          }
        }
      }),
      RUNS,
    );
  });

  it('what was decoded encodes to itself', () => {
    fc.assert(
      fc.property(anyMatrix, ({ n, k, values }) => {
        const words = encodeColumns(values, n, k, layout);
        const again = encodeColumns(decodeColumns(words, n, k, layout), n, k, layout);
        expect(Buffer.compare(Buffer.from(again.buffer), Buffer.from(words.buffer))).toBe(0);
      }),
      RUNS,
    );
  });

  it('each value has a place of its own, and together they fill all words but the scales', () => {
    const [n, k] = [64, 128];
    const bits = { f16: 16, int8: 8, int4: 4 }[format];
    const base = format === 'int4' ? 15 : 251;
    const words = new Uint32Array(wordsOf(layout, n, k));
    const scales = new Set(scalesOf(layout, n, k, words));
    const free = [...words.keys()].filter((word) => !scales.has(word));
    const places = free.flatMap((word) => Array.from({ length: 32 / bits }, (_, i) => ({ word, shift: i * bits })));
    expect(places).toHaveLength(n * k);
    // Each place is numbered, and the numbers' digits are read through the layout one after the other.
    const found = new Array<number>(n * k).fill(0);
    for (let weight = 1; weight < n * k; weight *= base) {
      for (const word of free) words[word] = 0;
      places.forEach(({ word, shift }, place) => {
        const digit = Math.floor(place / weight) % base;
        words[word] = ((words[word] as number) | (storedDigit(format, digit) << shift)) >>> 0;
      });
      const decoded = decodeColumns(words, n, k, layout);
      const offset = format === 'f16' ? 0 : Math.floor(base / 2);
      decoded.forEach((value, i) => {
        found[i] = (found[i] as number) + (value + offset) * weight;
      });
    }
    expect(found.toSorted((a, b) => a - b)).toEqual([...places.keys()]);
  });
});

/** The bits of a digit, less half the base where the format has negative numbers in plain. */
function storedDigit(format: WeightFormat, digit: number): number {
  if (format === 'f16') return toHalf(digit);
  return format === 'int8' ? (digit - 125) & 0xff : digit - 7 + 8;
}

/** Sets all scales to 1 and gives their words' indices. */
function scalesOf({ format }: WeightLayout, n: number, k: number, words: Uint32Array): number[] {
  if (format === 'f16') return [];
  const [data, all] = format === 'int8' ? [512, 544] : [256, 288];
  const at = Array.from({ length: (n / 32) * (k / 64) * 32 }, (_, i) => Math.floor(i / 32) * all + data + (i % 32));
  for (const word of at) words[word] = 0x3c003c00;
  return at;
}

it.each(['f16', 'int8', 'int4'] as WeightFormat[])('%s: both packs hold the same values', (format) => {
  const [one, wide] = LAYOUTS.filter((layout) => layout.format === format) as [WeightLayout, WeightLayout];
  fc.assert(
    fc.property(anyMatrix, ({ n, k, values }) => {
      const [a, b] = [encodeColumns(values, n, k, one), encodeColumns(values, n, k, wide)];
      expect([...a].sort()).toEqual([...b].sort());
      expect(decodeColumns(b, n, k, wide)).toEqual(decodeColumns(a, n, k, one));
    }),
    { numRuns: 8 },
  );
});
