/**
 * Conversions between the number types of tensor files: f32 and bf16 to f16 bits (what the device takes) and any of them
 * to f32, rounding to nearest, ties to even, as IEEE 754 asks. Weights pass here once at load: about 2 ns an element.
 *
 * Bytes are little-endian, as are all hosts that WebGPU runs on.
 */
import type { DType } from './tensor.ts';

/** All ones in the exponent: infinite or not a number. */
const NOT_FINITE = 0x7c00;

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

const nearestEven = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
};

/** f16 bits of a number, rounded once (not by way of f32). From 65,520 on, halfway past the largest f16, it is infinity. */
export function toHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  double[0] = value;
  const [low, high] = [doubleWords[0]!, doubleWords[1]!];
  const sign = (high >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (size >= 65520) return sign | NOT_FINITE;
  if (size < 2 ** -14) return sign | nearestEven(size * 2 ** 24);
  // Normal: 10 of the significand's 52 bits stay, of which the other 42 may round the last up, and into the exponent's field.
  const kept = ((((high >>> 20) & 0x7ff) - 1023 + 15) << 10) | ((high >>> 10) & 0x3ff);
  const dropped = high & 0x3ff;
  const up = dropped > 0x200 || (dropped === 0x200 && (low !== 0 || (kept & 1) === 1));
  return sign | (kept + (up ? 1 : 0));
}

/** The number that 16 bits of f16 stand for. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (fraction + 1024) * 2 ** (exponent - 25);
}

/** f16 bits of f32 bits. */
function halfOfFloatBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size >= 0x477ff000) return sign | (size > 0x7f800000 ? 0x7e00 : NOT_FINITE);
  // Normal: drop 13 bits of the fraction, move the exponent's bias from 127 to 15, carry into the exponent where it rounds up.
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  if (size <= 0x33000000) return sign;
  const shift = 126 - (size >>> 23);
  const fraction = (size & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  return sign | ((fraction + half - 1 + ((fraction >>> shift) & 1)) >>> shift);
}

/** f16 bits of every bf16: bf16 is the upper half of an f32. */
let halfOfBfloat: Uint16Array | undefined;
const bfloatTable = (): Uint16Array =>
  (halfOfBfloat ??= Uint16Array.from({ length: 65536 }, (_, bits) => halfOfFloatBits((bits << 16) >>> 0)));

/** The number of every f16. */
let floatOfHalf: Float32Array | undefined;
export const halfTable = (): Float32Array =>
  (floatOfHalf ??= Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits)));

/** The bytes as words of `size`, without a copy where they are aligned. */
function words16(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 1);
}
function words32(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

/**
 * Converts a file's bytes to f16 bits at into[at ..].
 * @returns the index, among the elements of `bytes`, of the first that is NaN, infinite or whose nearest f16 is infinite
 * (what follows it is not converted); -1 when all fit.
 */
export function halvesOf(bytes: Uint8Array, dtype: DType, into: Uint16Array, at: number): number {
  if (dtype === 'f32') return fromFloats(words32(bytes), into, at);
  const words = words16(bytes);
  if (dtype === 'bf16') return throughTable(words, bfloatTable(), into, at);
  into.set(words, at);
  for (let i = 0; i < words.length; i++) if ((words[i]! & NOT_FINITE) === NOT_FINITE) return i;
  return -1;
}

function fromFloats(words: Uint32Array, into: Uint16Array, at: number): number {
  for (let i = 0; i < words.length; i++) {
    const half = halfOfFloatBits(words[i]!);
    if ((half & NOT_FINITE) === NOT_FINITE) return i;
    into[at + i] = half;
  }
  return -1;
}

function throughTable(words: Uint16Array, table: Uint16Array, into: Uint16Array, at: number): number {
  for (let i = 0; i < words.length; i++) {
    const half = table[words[i]!]!;
    if ((half & NOT_FINITE) === NOT_FINITE) return i;
    into[at + i] = half;
  }
  return -1;
}

/** A file's bytes as numbers; f32 that is aligned is a view of the bytes, not a copy. */
export function floatsOf(bytes: Uint8Array, dtype: DType): Float32Array {
  if (dtype === 'f32') {
    const words = words32(bytes);
    return new Float32Array(words.buffer, words.byteOffset, words.length);
  }
  const words = words16(bytes);
  const floats = new Float32Array(words.length);
  if (dtype === 'bf16') {
    const bits = new Uint32Array(floats.buffer);
    for (let i = 0; i < words.length; i++) bits[i] = words[i]! << 16;
  } else {
    const table = halfTable();
    for (let i = 0; i < words.length; i++) floats[i] = table[words[i]!]!;
  }
  return floats;
}

/** Numbers as a file's bytes of that type, the inverse of floatsOf up to rounding. */
export function bytesOfFloats(values: Float32Array, dtype: DType): Uint8Array<ArrayBuffer> {
  if (dtype === 'f32') return new Uint8Array(new Float32Array(values).buffer);
  const words = new Uint16Array(values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'f16') for (let i = 0; i < words.length; i++) words[i] = halfOfFloatBits(bits[i]!);
  else for (let i = 0; i < words.length; i++) words[i] = bfloatOfFloatBits(bits[i]!);
  return new Uint8Array(words.buffer);
}

/** Upper half of an f32, rounded; not-a-numbers stay so even where only lower bits said it. */
function bfloatOfFloatBits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
