/** Partial sums of x · Wᵀ for a few rows, on tensor cores, and x · Aᵀ of their adapters: see split-k.wgsl. Which tile, and how many parts of K. */
import { HEADER, type StepShape } from '../scheduler/step-data.ts';
import type { Grid, Kernel } from './kernel.ts';
import type { MatmulShape } from './matmul.ts';
import { fits, type TensorCores, type TensorTile, tensorKernel } from './tensor-product.ts';
import type { WeightLayout } from './weight-format.ts';

/** Rows that one tile can hold: a step of more is not for this kernel. */
export const MOST_ROWS = 64;

export interface SplitK {
  tile: TensorTile;
  /** Parts that K is cut into. */
  split: number;
}

/** step, w, x -> partials; a -> s */
export const splitK = (tile: TensorTile, layout: WeightLayout, cores: TensorCores): Kernel =>
  tensorKernel('split-k', ['read', 'read', 'read', 'write', 'read', 'write'], ['packed-columns'], {
    tile,
    layout,
    cores,
  });

/** Row counts that stand for all tiles splitKTile() can choose. */
export const SPLIT_K_ROWS = [16, 32, 64];

/**
 * Wide tiles, so that x, which every workgroup reads again, is a small part of what is read. Staged weights (quantised) get
 * half the width: unpacked they take workgroup memory. The first that fits the device; null when none does.
 */
export function splitKTile(
  rows: number,
  { k, n, weights: layout }: Pick<MatmulShape, 'k' | 'n' | 'weights'>,
  cores: TensorCores,
): SplitK | null {
  const tall = SPLIT_K_ROWS.find((most) => rows <= most);
  if (tall === undefined) return null;
  const direct = layout.format === 'f16';
  const widths = direct ? [256, 128, 64] : [128, 64];
  for (const columns of widths) {
    for (const depth of [64, 32, 16]) {
      for (const buffers of direct ? ([2, 1] as const) : ([1] as const)) {
        const shape = { rows: tall, columns, subgroupRows: tall, subgroupColumns: columns / 8, depth, buffers, direct };
        const tile = { ...shape, subgroupColumns: Math.max(shape.subgroupColumns, cores.matrix.n) };
        if (fits(tile, k, layout, cores)) return { tile, split: splitOf(tile, k, n) };
      }
    }
  }
  return null;
}

/** Workgroups that keep a large GPU's memory busy: two for each of an H100's 132 multiprocessors. WebGPU tells no number. */
const WORKGROUPS = 264;
/** Below so many chunks a part is mostly its own beginning and end. */
const CHUNKS_A_PART = 4;
export const MOST_PARTS = 16;

function splitOf({ columns, depth }: TensorTile, k: number, n: number): number {
  const wanted = Math.round(WORKGROUPS / Math.ceil(n / columns));
  return Math.max(1, Math.min(wanted, MOST_PARTS, Math.floor(k / depth / CHUNKS_A_PART)));
}

/** Bytes of the partial sums. */
export const partialBytes = ({ tile, split }: SplitK, n: number): number => 4 * split * tile.rows * n;

export const splitKConstants = (
  { k, n, lora }: Pick<MatmulShape, 'k' | 'n' | 'lora'>,
  { split }: SplitK,
): Record<string, number> => ({
  K: k,
  N: n,
  SPLIT: split,
  SLICES: lora?.slices.length ?? 1,
  RANKS: lora?.ranks ?? 8,
  A_AT: lora?.aAt ?? 0,
  ROW_COUNT: HEADER.ROW_COUNT,
  SLOTS_AT: HEADER.SLOTS_AT,
  PAGES_AT: HEADER.PAGES_AT,
  TILES_AT: HEADER.TILES_AT,
  QUERIES_AT: HEADER.QUERIES_AT,
});

/** Ranks that a workgroup shrinks to. */
const SHRINK_RANKS = 8;

/** Rows of workgroups for the shrinks come first, then a row for each part of K. */
export function splitKGrid(
  { n, lora }: Pick<MatmulShape, 'n' | 'lora'>,
  { tile, split }: SplitK,
  step: Pick<StepShape, 'tiles' | 'maxRank'>,
): Grid {
  const across = Math.ceil(n / tile.columns);
  const shrinks = step.tiles * (lora?.slices.length ?? 0) * Math.ceil(step.maxRank / SHRINK_RANKS);
  return [across, Math.ceil(shrinks / across) + split, 1];
}
