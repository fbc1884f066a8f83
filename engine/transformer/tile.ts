/**
 * Rows of a weight matrix, as files store them, into the tiles that matmul.wgsl and embed.wgsl read. In: rows [n, k] of f16
 * bits, two to a word, which is what little-endian row-major f16 is. Out: [n / 32][k / 2][32] words, so that the 32 lanes of
 * a workgroup read 32 neighbouring words. A transposition of each 32 x k / 2 block of words; no value changes.
 */

export const TILE_COLUMNS = 32;
/** Words of a row taken at a time: their cache lines, of 32 rows, stay in the first-level cache until they are used up. */
const STRIP = 16;

/**
 * @param rows [n, halfIn] words; n a multiple of 32
 * @param into at least as many words, all of the first n * halfIn overwritten
 */
export function tileRows(rows: Uint32Array, n: number, halfIn: number, into: Uint32Array): void {
  for (let row = 0; row < n; row += TILE_COLUMNS) {
    const block = row * halfIn;
    for (let from = 0; from < halfIn; from += STRIP) {
      const to = Math.min(from + STRIP, halfIn);
      for (let lane = 0; lane < TILE_COLUMNS; lane++) {
        let source = block + lane * halfIn + from;
        let target = block + from * TILE_COLUMNS + lane;
        for (let pair = from; pair < to; pair++) {
          into[target] = rows[source] as number;
          source++;
          target += TILE_COLUMNS;
        }
      }
    }
  }
}
