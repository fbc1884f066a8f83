/**
 * Rows of a weight matrix, as files store them, into the layouts that kernels read (kernels/weight-format.ts). In: rows [n, k]
 * of f16 bits, two to a word, which is what little-endian row-major f16 is. Out: the matrix's words. f16 is only moved, each
 * 32 x k / 2 block of words transposed; quantised formats are made from the same f16 numbers, a tile of rows at a time.
 */
import { encodeInto, LANES, type WeightLayout, wordsOf } from '../kernels/weight-format.ts';
import { halfTable } from '../tensor-files/half.ts';

export const TILE_COLUMNS = LANES;
/** Words of a row taken at a time: their cache lines, of 32 rows, stay in the first-level cache until they are used up. */
const STRIP = 16;

/**
 * @param rows [n, k / 2] words; n a multiple of 32, k of what the layout asks
 * @param into at least as many words as the matrix has, those overwritten
 */
export function tileRows(rows: Uint32Array, n: number, k: number, layout: WeightLayout, into: Uint32Array): void {
  if (layout.format === 'f16') moveRows(rows, n, k / 2, layout.pack, into);
  else quantiseRows(rows, n, k, layout, into);
}

function moveRows(rows: Uint32Array, n: number, halfIn: number, pack: number, into: Uint32Array): void {
  // From the last word of a pack past those of the other lanes.
  const last = pack - 1;
  const jump = (LANES - 1) * pack + 1;
  for (let row = 0; row < n; row += LANES) {
    const block = row * halfIn;
    for (let from = 0; from < halfIn; from += STRIP) {
      const to = Math.min(from + STRIP, halfIn);
      for (let lane = 0; lane < LANES; lane++) {
        let source = block + lane * halfIn + from;
        let target = block + from * LANES + lane * pack;
        for (let pair = from; pair < to; pair++) {
          into[target] = rows[source] as number;
          source++;
          target += (pair & last) === last ? jump : 1;
        }
      }
    }
  }
}

function quantiseRows(rows: Uint32Array, n: number, k: number, layout: WeightLayout, into: Uint32Array): void {
  const halves = new Uint16Array(rows.buffer, rows.byteOffset, n * k);
  const numbers = halfTable();
  const tile = new Float32Array(LANES * k);
  const words = wordsOf(layout, LANES, k);
  for (let row = 0; row < n; row += LANES) {
    for (let i = 0, at = row * k; i < tile.length; i++, at++) tile[i] = numbers[halves[at] as number] as number;
    encodeInto(tile, LANES, k, layout, into.subarray((row / LANES) * words));
  }
}
