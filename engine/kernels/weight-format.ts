/**
 * How a weight matrix lies on the device, in each format that kernels read. In: W's values [n, k] row-major, one row an output
 * column of the product. Out: u32 words, or the exact values that they stand for. Pure; the kernels take FORMAT and PACK.
 *
 * W is cut into tiles of 32 columns, one a lane, so that the lanes of a workgroup read neighbouring words. `pack` words of one
 * column lie together: 1, or 16 bytes' worth that a GPU loads at once. Data word d of a lane's column is at
 *
 *   tile + (d - d % pack) * 32 + lane * pack + d % pack
 *
 *   f16    word d holds values 2d (low half) and 2d + 1; a tile is k / 2 such words deep. With pack 8, sixteen values of 32
 *          columns are a contiguous block, column-major: a subgroup matrix loads from there as it is.
 *   int8   q * scale, q in -127 .. 127; word d holds 4 two's complement bytes, lowest first
 *   int4   (nibble - 8) * scale; word d holds 8 nibbles, lowest first
 *
 * The quantised ones share an f16 scale among 32 values along k. Two such groups of each column of a tile are a block: its
 * data words, then 32 words of scales, the first group's in the low half; blocks are in the order [n / 32][k / 64].
 * Scales are normal f16: devices may read a subnormal as 0.
 */
import { WEIGHT_FORMATS, type WeightFormat } from '../models/weight-formats.ts';
import { bytesOfFloats, floatsOf, halfTable, toHalf } from '../tensor-files/half.ts';

export { WEIGHT_FORMATS, type WeightFormat };

export interface WeightLayout {
  readonly format: WeightFormat;
  /** Words of one column that lie together: 1, or 8 (f16) and 4 (int8, int4). */
  readonly pack: number;
}

/** Columns of a tile. */
export const LANES = 32;
/** Values that share a scale, and those of one column in a block. */
export const GROUP_DEPTH = 32;
export const BLOCK_DEPTH = 2 * GROUP_DEPTH;

/** Of a quantised format: bits of a value, the largest q, and what a stored 0 stands for. */
const QUANTISED = {
  int8: { bits: 8, most: 127, zero: 0 },
  int4: { bits: 4, most: 7, zero: 8 },
} as const;
type Quantised = keyof typeof QUANTISED;

const SMALLEST_SCALE = 2 ** -14;

/** Overrides FORMAT and PACK of a kernel that reads such a matrix. */
export const layoutConstants = ({ format, pack }: WeightLayout) => ({
  FORMAT: WEIGHT_FORMATS.indexOf(format),
  PACK: pack,
});

/** Words that 16 bytes of a lane hold of one column, or 1. */
export const widePack = (format: WeightFormat): number => (format === 'f16' ? 8 : 4);

/** k must be a multiple of this. */
export const depthUnit = ({ format, pack }: WeightLayout): number => (format === 'f16' ? 2 * pack : BLOCK_DEPTH);

/** Data words of one column of a block, and all words of the block. */
export const blockWords = (format: Quantised): { data: number; all: number } => {
  const data = (BLOCK_DEPTH * QUANTISED[format].bits) / 32;
  return { data, all: (data + 1) * LANES };
};

/** Words of W [n, k]. @throws Error when the layout cannot hold such a shape */
export function wordsOf(layout: WeightLayout, n: number, k: number): number {
  check(layout, n, k);
  if (layout.format === 'f16') return (n * k) / 2;
  return (n / LANES) * (k / BLOCK_DEPTH) * blockWords(layout.format).all;
}

/**
 * Rounds to nearest, ties to even. Quantised: scale = largest magnitude / 127 (int8) or / 7 (int4), itself rounded to f16 and
 * at least 2^-14 where not all are 0.
 * @param values [n, k], finite and within f16's range
 */
export function encodeColumns(
  values: Float32Array,
  n: number,
  k: number,
  layout: WeightLayout,
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(wordsOf(layout, n, k));
  encodeInto(values, n, k, layout, words);
  return words;
}

/** encodeColumns() into the first words of `into`, all of which are overwritten. */
export function encodeInto(values: Float32Array, n: number, k: number, layout: WeightLayout, into: Uint32Array): void {
  if (values.length < n * k) throw new Error(`${values.length} values for a matrix of ${n} x ${k}`);
  const words = wordsOf(layout, n, k);
  if (into.length < words) throw new Error(`${into.length} words for a matrix that takes ${words}`);
  const { format, pack } = layout;
  if (format === 'f16') encodeHalves(values, n, k, pack, into);
  else encodeBlocks(values, n, k, format, pack, into);
}

function encodeHalves(values: Float32Array, n: number, k: number, pack: number, into: Uint32Array): void {
  const pairs = new Uint32Array(bytesOfFloats(values.subarray(0, n * k), 'f16').buffer);
  for (let row = 0; row < n; row++) {
    const tile = (row - (row % LANES)) * (k / 2);
    for (let d = 0; d < k / 2; d++) into[tile + offsetOf(d, row % LANES, pack)] = pairs[(row * k) / 2 + d] as number;
  }
}

/** Adding this to a double and taking it away rounds to a whole number, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

/** Every weight of a checkpoint passes here: plain loops, a few nanoseconds each. */
function encodeBlocks(
  values: Float32Array,
  n: number,
  k: number,
  format: Quantised,
  pack: number,
  into: Uint32Array,
): void {
  const { bits, most, zero } = QUANTISED[format];
  const { data, all } = blockWords(format);
  const perWord = 32 / bits;
  const numbers = halfTable();
  for (let row = 0; row < n; row++) {
    const lane = row % LANES;
    for (let from = 0; from < k; from += BLOCK_DEPTH) {
      const block = (((row - lane) / LANES) * (k / BLOCK_DEPTH) + from / BLOCK_DEPTH) * all;
      let at = row * k + from;
      let scales = 0;
      for (let group = 0; group < 2; group++) {
        const half = scaleOf(values, at, most);
        const scale = half === 0 ? 1 : (numbers[half] as number);
        scales |= half << (16 * group);
        for (let d = (group * data) / 2; d < ((group + 1) * data) / 2; d++, at += perWord) {
          into[block + offsetOf(d, lane, pack)] = packed(values, at, scale, bits, zero);
        }
      }
      into[block + data * LANES + lane] = scales;
    }
  }
}

/** One word of q. None is beyond the format's largest: a scale's rounding is far less than half of one step of it. */
function packed(values: Float32Array, at: number, scale: number, bits: number, zero: number): number {
  const mask = (1 << bits) - 1;
  let word = 0;
  for (let shift = 0; shift < 32; shift += bits) {
    const q = (values[at++] as number) / scale + ROUNDER - (ROUNDER - zero);
    word |= (q & mask) << shift;
  }
  return word;
}

/** The number that a group's values are multiples of, as f16 bits; 0 when all are 0. */
function scaleOf(values: Float32Array, at: number, most: number): number {
  let largest = 0;
  for (let i = at; i < at + GROUP_DEPTH; i++) {
    const size = Math.abs(values[i] as number);
    if (size > largest) largest = size;
  }
  return largest === 0 ? 0 : toHalf(Math.max(SMALLEST_SCALE, largest / most));
}

/** The exact values [n, k] that a kernel has to use: products of q and scale need 19 bits at most. */
export function decodeColumns(
  words: Uint32Array,
  n: number,
  k: number,
  layout: WeightLayout,
): Float32Array<ArrayBuffer> {
  check(layout, n, k);
  const values = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    if (layout.format === 'f16') decodeHalves(words, row, k, layout.pack, values);
    else decodeBlocks(words, row, k, layout.format, layout.pack, values);
  }
  return values;
}

function decodeHalves(words: Uint32Array, row: number, k: number, pack: number, values: Float32Array): void {
  const tile = (row - (row % LANES)) * (k / 2);
  const pairs = new Uint32Array(k / 2);
  for (let d = 0; d < k / 2; d++) pairs[d] = words[tile + offsetOf(d, row % LANES, pack)] as number;
  values.set(floatsOf(new Uint8Array(pairs.buffer), 'f16'), row * k);
}

function decodeBlocks(
  words: Uint32Array,
  row: number,
  k: number,
  format: Quantised,
  pack: number,
  values: Float32Array,
): void {
  const { bits, zero } = QUANTISED[format];
  const { data, all } = blockWords(format);
  const numbers = halfTable();
  const lane = row % LANES;
  for (let from = 0; from < k; from += BLOCK_DEPTH) {
    const block = (Math.floor(row / LANES) * (k / BLOCK_DEPTH) + from / BLOCK_DEPTH) * all;
    const scales = words[block + data * LANES + lane] as number;
    for (let i = 0; i < BLOCK_DEPTH; i++) {
      const word = words[block + offsetOf(Math.floor((i * bits) / 32), lane, pack)] as number;
      const stored = word << (32 - bits - ((i * bits) % 32));
      const q = zero === 0 ? stored >> (32 - bits) : (stored >>> (32 - bits)) - zero;
      values[row * k + from + i] = q * (numbers[(i < GROUP_DEPTH ? scales : scales >>> 16) & 0xffff] as number);
    }
  }
}

/** Of a lane's data word d, from where its tile or block begins. */
const offsetOf = (d: number, lane: number, pack: number): number => (d - (d % pack)) * LANES + lane * pack + (d % pack);

function check(layout: WeightLayout, n: number, k: number): void {
  const { format, pack } = layout;
  if (pack !== 1 && pack !== widePack(format)) throw new Error(`${format} weights have no layout of ${pack} words`);
  const unit = depthUnit(layout);
  if (n % LANES !== 0 || k % unit !== 0) {
    throw new Error(`${format} weights of ${n} x ${k}: expected multiples of ${LANES} and ${unit}`);
  }
}
