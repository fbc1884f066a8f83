/** y = finish(x · Wᵀ + LoRA): see matmul.wgsl. What shapes it takes, which tiles suit how many rows. */
import { HEADER } from '../scheduler/step-data.ts';
import { expandConstants } from './expand-columns.ts';
import { defineKernel, type Grid, type Kernel } from './kernel.ts';
import { layoutConstants, type WeightLayout } from './weight-format.ts';

/** step, w, x -> y; residual, s, b. One text for each layout of w: a shader's compile time grows with all that it could do. */
export const matmul = ({ format, pack }: WeightLayout): Kernel =>
  defineKernel('matmul', ['read', 'read', 'read', 'write', 'read', 'read', 'read'], {
    parts: [
      'expand-columns',
      format === 'f16' ? 'multiply-halves' : 'multiply-integers',
      pack === 1 ? 'words-single' : 'words-packed',
    ],
  });

/** Columns are padded to this, the most one workgroup makes. */
export const COLUMN_TILE = 128;
export const padColumns = (columns: number): number => Math.ceil(columns / COLUMN_TILE) * COLUMN_TILE;

export interface MatmulShape {
  /** Width of x. */
  k: number;
  /** Columns of W, padded; with swiglu, gate and up columns together. */
  n: number;
  /** Width of y. */
  out: number;
  finish: 'none' | 'residual' | 'swiglu';
  /** Rows of the step, or only those sampled. */
  rows: 'all' | 'sampled';
  weights: WeightLayout;
  lora: LoraShape | null;
}

export interface LoraShape {
  /** First column of each slice, a multiple of 4: [0] for one, [0, q, q + kv] for q, k, v. */
  slices: readonly number[];
  /** Stride between slices in s: the largest rank, padded to 8. */
  ranks: number;
  /** First word of the projection in the A and the B pool. */
  aAt: number;
  bAt: number;
  /** Where slot 0's column words of this projection begin in the B pool, and how far apart slots are. */
  columnsAt: number;
  columnWords: number;
}

export interface MatmulTile {
  /** Rows of an invocation. */
  tm: 1 | 2 | 4 | 8;
  /** Columns of an invocation at once. */
  tn: 4 | 8;
  /** Columns of a workgroup. */
  columns: 64 | 128;
  /** Lanes that share out K. */
  kSplit: number;
}

/**
 * Tiles for a number of rows. On a CPU an invocation that makes many columns reuses each x it loads, and splitting K buys
 * nothing; a GPU needs the invocations. With one row, more columns would only be more streams of W at once (SwiftShader: half
 * as fast). Batch-invariant: one tile whatever the rows, so every sum has one order.
 */
export function matmulTile(rows: number, options: { software: boolean; batchInvariant: boolean }): MatmulTile {
  const tm = options.batchInvariant ? 4 : rows === 1 ? 1 : rows === 2 ? 2 : rows <= 4 ? 4 : 8;
  if (options.software) return { tm, tn: tm === 1 ? 4 : 8, columns: 128, kSplit: 1 };
  if (tm === 8) return { tm, tn: 4, columns: 128, kSplit: 2 };
  return { tm, tn: 4, columns: 64, kSplit: tm === 4 ? 8 : 16 };
}

export const tileKey = ({ tm, tn, kSplit }: MatmulTile): string => `${tm}x${tn}/${kSplit}`;

export function matmulConstants(shape: MatmulShape, tile: MatmulTile): Record<string, number> {
  const { finish, weights, lora } = shape;
  const swiglu = finish === 'swiglu';
  const lanes = tile.columns / (swiglu ? 8 : tile.tn);
  // Gate and up are two quads of an invocation, so as many of them split K further.
  const kSplit = tile.kSplit * (swiglu && tile.kSplit > 1 ? 8 / tile.tn : 1);
  return {
    ...layoutConstants(weights),
    ...expandConstants(lora),
    K: shape.k,
    N: shape.n,
    OUT: shape.out,
    TM: tile.tm,
    TN: tile.tn,
    LANES: lanes,
    KSPLIT: kSplit,
    THREADS: lanes * kSplit,
    RESIDUAL: finish === 'residual' ? 1 : 0,
    SWIGLU: swiglu ? 1 : 0,
    ROW_COUNT: shape.rows === 'all' ? HEADER.ROW_COUNT : HEADER.SAMPLE_COUNT,
  };
}

export const matmulGrid = (shape: MatmulShape, tile: MatmulTile, rows: number): Grid => [
  shape.n / tile.columns,
  Math.ceil(rows / tile.tm),
  1,
];
