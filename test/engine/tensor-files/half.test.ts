import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfFloats, floatsOf, fromHalf, halvesOf, toHalf } from '../../../engine/tensor-files/half.ts';

/** The nearest of all 63,488 finite f16 and, past the last, infinity; ties go to the even significand. Slow and plain. */
function nearestHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  let [low, high] = [0, 0x7c00];
  const at = (bits: number) => (bits === 0x7c00 ? 65536 : fromHalf(bits));
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(middle) <= size) low = middle;
    else high = middle;
  }
  const [down, up] = [size - at(low), at(high) - size];
  return sign | (down < up || (down === up && low % 2 === 0) ? low : high);
}

const bytesOf = (values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);

describe('one value', () => {
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [1 / 3, 0x3555],
    [65504, 0x7bff],
    [65519.996, 0x7bff],
    [65520, 0x7c00],
    [-1e9, 0xfc00],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NaN, 0x7e00],
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -25, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.0000001, 0x0001],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -40, 0x3c01],
    [Number.MIN_VALUE, 0],
  ])('%s is 0x%s in f16', (value, bits) => expect(toHalf(value)).toBe(bits));

  it('gives every f16 back', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(toHalf(value)).toBe(0x7e00);
      else if (toHalf(value) !== bits) expect.fail(`${bits} came back as ${toHalf(value)}`);
    }
  });

  it('rounds any double to the nearest, once', () => {
    // What comes after the largest would be 65,536, were infinity not in its place: 0 times infinity is no number to round.
    const above = (bits: number) => (bits === 0x7bff ? 65536 : fromHalf(bits + 1));
    const near = fc.tuple(fc.integer({ min: 0, max: 0x7bff }), fc.double({ min: -1, max: 1, noNaN: true }));
    const values = fc.oneof(
      fc.double({ noNaN: true }),
      near.map(([bits, share]) => fromHalf(bits) + share * (above(bits) - fromHalf(bits))),
    );
    fc.assert(
      fc.property(values, (value) => {
        expect(toHalf(value)).toBe(nearestHalf(value));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('many values', () => {
  it('converts f32 as the single conversion does', () => {
    const floats = fc.oneof(
      fc.float({ noNaN: true, min: -65504, max: 65504 }),
      fc.float({ noNaN: true, min: Math.fround(-0.001), max: Math.fround(0.001) }),
      fc
        .integer({ min: 0, max: 0x7bff })
        .map((bits) => Math.fround(fromHalf(bits) + fromHalf(bits & 0x7c00) * 2 ** -11)),
    );
    fc.assert(
      fc.property(fc.array(floats, { maxLength: 20 }), (values) => {
        const into = new Uint16Array(values.length + 2).fill(0xdead);
        const fits = values.every((value) => Math.abs(value) < 65520);
        fc.pre(fits);
        expect(halvesOf(bytesOf(values), 'f32', into, 1)).toBe(-1);
        expect([...into]).toEqual([0xdead, ...values.map((value) => toHalf(Math.fround(value))), 0xdead]);
      }),
      { numRuns: 1000 },
    );
  });

  it('converts every bf16 as by way of f32', () => {
    const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const floats = floatsOf(new Uint8Array(words.buffer), 'bf16');
    const into = new Uint16Array(1);
    for (let bits = 0; bits < 65536; bits++) {
      const expected = toHalf(floats[bits]!);
      const found = halvesOf(new Uint8Array(words.buffer, bits * 2, 2), 'bf16', into, 0);
      const finite = (expected & 0x7c00) !== 0x7c00;
      if (found !== (finite ? -1 : 0) || (finite && into[0] !== expected)) expect.fail(`bf16 0x${bits.toString(16)}`);
    }
    expect(floats[0x3f80]).toBe(1);
    expect(floats[0xc040]).toBe(-3);
  });

  it('copies f16 and reads it as numbers', () => {
    const bits = [0x3c00, 0xc000, 0x0001, 0x7bff];
    const bytes = new Uint8Array(new Uint16Array(bits).buffer);
    const into = new Uint16Array(4);
    expect(halvesOf(bytes, 'f16', into, 0)).toBe(-1);
    expect([...into]).toEqual(bits);
    expect([...floatsOf(bytes, 'f16')]).toEqual([1, -2, 2 ** -24, 65504]);
  });

  it.each([
    ['f32', bytesOf([1, 2, Number.NaN, 4])],
    ['f32', bytesOf([1, 2, 65520, 4])],
    ['f32', bytesOf([1, 2, Number.NEGATIVE_INFINITY, 4])],
    ['f16', new Uint8Array(new Uint16Array([0x3c00, 0, 0x7c00, 0x7e00]).buffer)],
    ['bf16', new Uint8Array(new Uint16Array([0x3f80, 0, 0x4780, 0]).buffer)],
  ] as const)('names the first %s that does not fit', (dtype, bytes) =>
    expect(halvesOf(bytes, dtype, new Uint16Array(4), 0)).toBe(2),
  );

  it('takes bytes that are not aligned', () => {
    const bytes = new Uint8Array(9);
    bytes.set(bytesOf([1.5, -2]), 1);
    expect([...floatsOf(bytes.subarray(1), 'f32')]).toEqual([1.5, -2]);
    const into = new Uint16Array(2);
    expect(halvesOf(bytes.subarray(1), 'f32', into, 0)).toBe(-1);
    expect([...into]).toEqual([0x3e00, 0xc000]);
  });

  it('writes numbers as bytes, rounded', () => {
    const values = new Float32Array([1, -2.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8]);
    expect([...floatsOf(bytesOfFloats(values, 'f32'), 'f32')]).toEqual([...values]);
    expect([...floatsOf(bytesOfFloats(values, 'bf16'), 'bf16')]).toEqual([1, -2.5, 1, 1 + 2 ** -6]);
    expect([...floatsOf(bytesOfFloats(values, 'f16'), 'f16')]).toEqual([...values]);
    const odd = new Float32Array([Number.NaN, Number.POSITIVE_INFINITY, 3.4e38]);
    expect([...floatsOf(bytesOfFloats(odd, 'bf16'), 'bf16')]).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });
});
