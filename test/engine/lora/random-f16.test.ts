/** Seeded weights in TypeScript: the bits that numpy gives (test/golden/random-f16.py), and the distribution they promise. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { amplitudeOf, f16Bits, f16Value, lowbias32, tensorKey } from '../../../engine/lora/random-f16.ts';
import golden from '../../golden/random-f16.json' with { type: 'json' };

describe('bits', () => {
  it.each(golden.cases)("are numpy's for seed $seed, layer $layer, tensor $tensor, $fanIn in", (known) => {
    const key = tensorKey(known.seed, known.layer, known.tensor);
    expect(key).toBe(known.key);
    const amplitude = amplitudeOf(known.fanIn, known.gain);
    expect(golden.index.map((index) => f16Bits(index, key, amplitude))).toEqual(known.bits);
  });

  it('start from lowbias32 as published', () => {
    for (const value of [0, 1, 0x8000, 0xffff, 0x12345678, 0x80000000, 0xffffffff])
      expect(lowbias32(value)).toBe(byHand(value));
  });
});

/** lowbias32 with big integers, where nothing can overflow. */
function byHand(value: number): number {
  const mask = 0xffffffffn;
  let x = BigInt(value);
  x ^= x >> 16n;
  x = (x * 0x7feb352dn) & mask;
  x ^= x >> 15n;
  x = (x * 0x846ca68bn) & mask;
  x ^= x >> 16n;
  return Number(x);
}

describe('values', () => {
  it('are normal, within the amplitude, for any input width and gain', () => {
    const widths = fc.integer({ min: 1, max: 1 << 20 });
    fc.assert(
      fc.property(widths, fc.constantFrom(1, 2), fc.nat(0xffffffff), fc.nat(0xffffffff), (fanIn, gain, index, key) => {
        const bits = f16Bits(index, key, amplitudeOf(fanIn, gain));
        const exponent = (bits >> 10) & 31;
        expect(bits).toBeLessThan(0x10000);
        expect(exponent).toBeGreaterThan(0);
        expect(exponent).toBeLessThan(31);
        expect(Math.abs(f16Value(bits))).toBeLessThanOrEqual(
          Math.max(gain * Math.sqrt(3 / fanIn), 2 ** -14) * (1 + 2 ** -15),
        );
      }),
    );
  });

  it.each([
    [1, 1],
    [16, 1],
    [576, 2],
    [4096, 1],
    [28672, 1],
  ])('of %i in and gain %i have mean 0 and variance gain² / in', (fanIn, gain) => {
    const count = 100_000;
    const amplitude = amplitudeOf(fanIn, gain);
    const values = Array.from({ length: count }, (_, i) => f16Value(f16Bits(i, tensorKey(5, 1, 1), amplitude)));
    const mean = values.reduce((a, b) => a + b, 0) / count;
    const variance = values.reduce((a, b) => a + b * b, 0) / count;
    const sigma = gain / Math.sqrt(fanIn);
    // Five standard errors; a uniform variable's square has a standard deviation of 0.894 times its mean. Cutting to
    // 11 bits takes up to 2^-10 off a value, half that on average.
    expect(Math.abs(mean)).toBeLessThan((5 * sigma) / Math.sqrt(count));
    expect(Math.abs(variance / sigma ** 2 - 1)).toBeLessThan((5 * 0.894) / Math.sqrt(count) + 2 ** -9);
  });

  it('of two tensors, layers or seeds share no stream', () => {
    const keys = new Set<number>();
    for (let seed = 0; seed < 8; seed++) {
      for (let layer = 0; layer < 80; layer++)
        for (let tensor = 0; tensor < 64; tensor++) keys.add(tensorKey(seed, layer, tensor));
    }
    expect(keys.size).toBe(8 * 80 * 64);
  });
});
