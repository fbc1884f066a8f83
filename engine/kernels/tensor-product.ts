/**
 * Products on tensor cores: which tiles there are, what they need of a device, and the constants that parts/tensor-product.wgsl
 * is compiled with. split-k.ts and tiles.ts are the kernels. In: DeviceFacts, a matrix's shape and layout. Out: a tile that the
 * device can run, or none.
 *
 * x is rounded to f16 on its way to the matrices, as weights are: each x is off by at most 2^-11 of itself (what is below f16's
 * normal numbers by 2^-25), and |x| beyond 65,504 is taken for that. Sums stay f32.
 */
import type { DeviceFacts } from '../device/facts.ts';
import { type Access, defineKernel, type Kernel } from './kernel.ts';
import { BLOCK_DEPTH, layoutConstants, type WeightLayout, widePack } from './weight-format.ts';

/** What a workgroup makes at a time, and how. */
export interface TensorTile {
  /** Rows of x and columns of W. */
  rows: number;
  columns: number;
  /** Of these, one subgroup's: parts of the above, multiples of the device's matrix, and of its columns twice with swiglu. */
  subgroupRows: number;
  subgroupColumns: number;
  /** How much of K goes by between two barriers: a multiple of 16, of 32 for int4, and a divisor of K. */
  depth: number;
  /** 2: the next chunk is staged while one is multiplied. */
  buffers: 1 | 2;
  /** Matrices of f16 weights come straight from memory instead of being staged. */
  direct: boolean;
}

export const tensorTileKey = (tile: TensorTile): string =>
  `${tile.rows}x${tile.columns}/${tile.subgroupRows}x${tile.subgroupColumns}/${tile.depth}${tile.buffers === 2 ? ' twice' : ''}${tile.direct ? ' direct' : ''}`;

/** The part of DeviceFacts that such a product is compiled for. */
export interface TensorCores {
  matrix: { m: number; n: number; k: number };
  /** Lanes of a subgroup. */
  lanes: number;
  maxWorkgroupBytes: number;
  maxInvocations: number;
}

/** A GPU's own width where it has one, as subgroups of other widths may not have tensor cores. */
const USUAL_LANES = 32;

/**
 * Null where the device cannot. The width of a subgroup has to be asked for: a tile is cut for one, and Dawn wants workgroups
 * that are multiples of the widest otherwise.
 */
export function tensorCoresOf(facts: DeviceFacts): TensorCores | null {
  const { f16, matrix, subgroups, subgroupSizeControl, maxWorkgroupBytes, maxInvocations } = facts;
  if (!f16 || !matrix || !subgroups || !subgroupSizeControl) return null;
  const lanes = Math.min(Math.max(USUAL_LANES, subgroups.min), subgroups.max);
  return { matrix, lanes, maxWorkgroupBytes, maxInvocations };
}

/** Weights that these kernels read: 16 bytes of a column together. */
export const isWide = ({ format, pack }: WeightLayout): boolean => pack === widePack(format);

/** Vulkan's maxComputeWorkgroupSubgroups, where widths are asked for: 32 at NVIDIA's and in lavapipe. WebGPU tells it not. */
const MOST_SUBGROUPS = 32;

export const threadsOf = (tile: TensorTile, { lanes }: TensorCores): number =>
  (tile.rows / tile.subgroupRows) * (tile.columns / tile.subgroupColumns) * lanes;

/** Workgroup memory of a tile; what its sums pass through at the end lies in the same place. */
export function workgroupBytes(tile: TensorTile, { matrix }: TensorCores): number {
  const { rows, columns, subgroupRows, subgroupColumns, depth, buffers, direct } = tile;
  const staged = buffers * (rows + (direct ? 0 : columns)) * (depth / 8 + 1);
  const sums = (rows / subgroupRows) * (columns / subgroupColumns) * matrix.m * (subgroupColumns / 4 + 1);
  return 16 * Math.max(staged, sums);
}

/** Whether a product with a matrix `k` deep can be compiled in this tile for the device. */
export function fits(tile: TensorTile, k: number, layout: WeightLayout, cores: TensorCores): boolean {
  const { m, n, k: depth } = cores.matrix;
  const whole = (a: number, b: number) => a % b === 0;
  return (
    isWide(layout) &&
    // Straight from memory, 16 values of a column lie together.
    (!tile.direct || depth <= 16) &&
    (layout.format === 'f16' || (!tile.direct && whole(k, BLOCK_DEPTH))) &&
    whole(k, tile.depth) &&
    whole(tile.depth, Math.max(depth, layout.format === 'int4' ? 32 : 16)) &&
    whole(tile.subgroupRows, m) &&
    whole(tile.subgroupColumns, n) &&
    whole(tile.columns, 32) &&
    threadsOf(tile, cores) <= Math.min(cores.maxInvocations, MOST_SUBGROUPS * cores.lanes) &&
    workgroupBytes(tile, cores) <= cores.maxWorkgroupBytes
  );
}

/** A kernel over parts/tensor-product.wgsl, compiled for a tile, a layout and a device's matrices. */
export function tensorKernel(
  name: string,
  bindings: readonly Access[],
  parts: readonly string[],
  { tile, layout, cores }: { tile: TensorTile; layout: WeightLayout; cores: TensorCores },
): Kernel {
  return defineKernel(name, bindings, {
    parts: ['tensor-product', ...parts],
    enable: ['f16', 'subgroups', 'subgroup_size_control', 'chromium_experimental_subgroup_matrix'],
    fixed: {
      MM: cores.matrix.m,
      MN: cores.matrix.n,
      MK: cores.matrix.k,
      SUBGROUP: cores.lanes,
      ROWS: tile.rows,
      COLUMNS: tile.columns,
      SUBGROUP_ROWS: tile.subgroupRows,
      SUBGROUP_COLUMNS: tile.subgroupColumns,
      DEPTH: tile.depth,
      BUFFERS: tile.buffers,
      DIRECT: tile.direct ? 1 : 0,
      FORMAT: layoutConstants(layout).FORMAT,
    },
  });
}
