/**
 * y = finish(x · Wᵀ + LoRA) for up to 8 rows, bound by how fast W is read: see gemv.wgsl. What shapes and layouts of W it
 * takes, and which tile suits them. Needs subgroups.
 *
 * A tile's numbers are what a GPU can be tuned by; gemvTile() has the defaults, reasoned from the bytes and instructions of an
 * H100 and not yet measured on one. test/perf/gpu/gemv.mjs measures the others.
 */
import { HEADER } from '../scheduler/step-data.ts';
import { expandConstants } from './expand-columns.ts';
import { defineKernel, type Grid } from './kernel.ts';
import type { MatmulShape } from './matmul.ts';
import { blockWords, LANES, layoutConstants, type WeightLayout } from './weight-format.ts';

/** step, w, x -> y; residual, s, b: those of matmul */
export const gemv = defineKernel('gemv', ['read', 'read', 'read', 'write', 'read', 'read', 'read'], {
  parts: ['epilogue'],
  enable: ['subgroups'],
});

/** Rows of a step beyond which W would be read more than once. */
export const GEMV_ROWS = 8;

export interface GemvTile {
  /** Rows of a workgroup: 1 to 8. */
  tm: number;
  /** Columns of a lane: 1, 2 or 4; not 1 with swiglu. More share each x that is loaded; fewer make more workgroups. */
  tn: 1 | 2 | 4;
  /** Lanes beside each other with columns of their own: 8, 16 or 32. Fewer leave more lanes to split K. */
  columns: 8 | 16 | 32;
  threads: number;
  /** Units of K that are loaded before the first is used: 1, 2 or 4. */
  unroll: 1 | 2 | 4;
}

/** The grid of a narrow projection would not fill a big GPU with two columns a lane. */
const MANY_COLUMNS = 16_384;

/** A processor only shows that answers are right, and takes seconds to compile what a GPU needs. */
const SOFTWARE = { tm: 2, columns: 16, threads: 64, unroll: 1 } as const;

/**
 * The tile for a number of rows. A lane has 64 or 128 bytes of W under way. Two columns share each x where the instructions
 * that load x would otherwise be more than those that load W: from four rows on, and in the packed integers, where 16 bytes
 * of W meet two and four times as many x.
 */
export function gemvTile({ n, finish, weights }: MatmulShape, rows: number, software = false): GemvTile {
  if (software) return { ...SOFTWARE, tn: finish === 'swiglu' ? 2 : 1 };
  const tm = rows <= 2 ? rows : rows <= 4 ? 4 : GEMV_ROWS;
  const wide = finish === 'swiglu' || n >= MANY_COLUMNS || weights.format !== 'f16' || tm >= 4;
  return { tm, tn: wide ? 2 : 1, columns: 16, threads: 256, unroll: tm > 4 ? 2 : 4 };
}

/** Whether K is what gemv.wgsl takes in this layout: whole units, and whole blocks where there are any. */
export const gemvTakes = ({ k, weights: { format, pack } }: Pick<MatmulShape, 'k' | 'weights'>): boolean =>
  k % (format === 'f16' ? (pack > 1 ? 16 : 8) : 64) === 0;

export const gemvKey = ({ tm, tn, columns, threads, unroll }: GemvTile): string =>
  `${tm}x${tn}x${columns}/${threads}/${unroll}`;

/** A column's 32 bytes of packed f16 are two lanes'; everything else is one lane's. */
const joinOf = ({ format, pack }: WeightLayout): number => (format === 'f16' && pack > 1 ? 2 : 1);

/** Bytes of workgroup memory: WebGPU promises 16,384. */
export const gemvBytes = (layout: WeightLayout, { tm, tn, threads }: GemvTile): number =>
  (4 * threads * tn * tm) / joinOf(layout);

export function gemvConstants(shape: MatmulShape, tile: GemvTile): Record<string, number> {
  const { finish, weights, lora } = shape;
  return {
    ...layoutConstants(weights),
    ...expandConstants(lora),
    ...unitPlaces(weights, shape.k),
    K: shape.k,
    N: shape.n,
    OUT: shape.out,
    RESIDUAL: finish === 'residual' ? 1 : 0,
    SWIGLU: finish === 'swiglu' ? 1 : 0,
    ROW_COUNT: shape.rows === 'all' ? HEADER.ROW_COUNT : HEADER.SAMPLE_COUNT,
    TM: tile.tm,
    TN: tile.tn,
    COLUMNS: tile.columns,
    JOIN: joinOf(weights),
    THREADS: tile.threads,
    UNROLL: tile.unroll,
    SUMS: gemvBytes(weights, tile) / 4,
  };
}

/** Where a unit of 16 bytes of a column lies, in words: see weight-format.ts. Blocks of f16 are two units deep. */
function unitPlaces({ format, pack }: WeightLayout, k: number) {
  const block = format === 'f16' ? 8 * LANES : blockWords(format).all;
  const depth = format === 'f16' ? 16 : 64;
  return {
    TILE_WORDS: (k / depth) * block,
    BLOCK_WORDS: block,
    UNIT_WORDS: format === 'f16' && pack > 1 ? 4 : 4 * LANES,
    LANE_WORDS: pack,
  };
}

export const gemvGrid = ({ n }: MatmulShape, { tm, tn, columns }: GemvTile, rows: number): Grid => [
  n / (columns * tn),
  Math.ceil(rows / tm),
  1,
];
