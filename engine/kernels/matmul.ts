/** y = finish(x · Wᵀ + LoRA): see matmul.wgsl. What shapes it takes, which tiles suit how many rows. */
import { HEADER } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';

/** step, w, x -> y; residual, s, b */
export const matmul = defineKernel('matmul', ['read', 'read', 'read', 'write', 'read', 'read', 'read']);

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
  lora: LoraShape | null;
}

export interface LoraShape {
  /** First column of each slice: [0] for one, [0, q, q + kv] for q, k, v. */
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
  tm: 1 | 2 | 4 | 8;
  tn: 2 | 4;
  kSplit: number;
}

/**
 * Tiles for a number of rows. On a CPU an invocation that makes many columns reuses each x it loads, and splitting K buys
 * nothing; a GPU needs the invocations. Batch-invariant: one tile whatever the rows, so every sum has one order.
 */
export function matmulTile(rows: number, options: { software: boolean; batchInvariant: boolean }): MatmulTile {
  const tm = options.batchInvariant ? 4 : rows === 1 ? 1 : rows === 2 ? 2 : rows <= 4 ? 4 : 8;
  if (options.software) return { tm, tn: 4, kSplit: 1 };
  if (options.batchInvariant) return { tm, tn: 2, kSplit: 4 };
  return { tm, tn: tm <= 4 ? 2 : 4, kSplit: Math.min(8, 16 / tm) };
}

export const tileKey = ({ tm, tn, kSplit }: MatmulTile): string => `${tm}x${tn}/${kSplit}`;

export function matmulConstants(shape: MatmulShape, tile: MatmulTile): Record<string, number> {
  const { lora } = shape;
  return {
    K: shape.k,
    N: shape.n,
    OUT: shape.out,
    TM: tile.tm,
    TN: tile.tn,
    KSPLIT: tile.kSplit,
    THREADS: 32 * tile.kSplit,
    RESIDUAL: shape.finish === 'residual' ? 1 : 0,
    SWIGLU: shape.finish === 'swiglu' ? 1 : 0,
    ROW_COUNT: shape.rows === 'all' ? HEADER.ROW_COUNT : HEADER.SAMPLE_COUNT,
    ROWS_AT: HEADER.ROWS_AT,
    SLOTS_AT: HEADER.SLOTS_AT,
    PAGES_AT: HEADER.PAGES_AT,
    LORA: lora ? 1 : 0,
    SLICES: lora?.slices.length ?? 1,
    SLICE1: lora?.slices[1] ?? 0xffffffff,
    SLICE2: lora?.slices[2] ?? 0xffffffff,
    RANKS: lora?.ranks ?? 8,
    B_AT: lora?.bAt ?? 0,
    COLUMNS_AT: lora?.columnsAt ?? 0,
    COLUMN_WORDS: lora?.columnWords ?? 0,
  };
}

export const matmulGrid = (shape: MatmulShape, tile: MatmulTile, rows: number): Grid => [
  shape.n / (32 * tile.tn),
  Math.ceil(rows / tile.tm),
  1,
];
