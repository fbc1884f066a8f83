/** s = x · Aᵀ for the rows that have an adapter, where those are many, on tensor cores: see shrink-tiles.wgsl. */
import { HEADER, type StepShape } from '../scheduler/step-data.ts';
import type { Grid, Kernel } from './kernel.ts';
import type { LoraShape } from './matmul.ts';
import { shrinkConstants } from './shrink.ts';
import { fits, type TensorCores, type TensorTile, tensorKernel } from './tensor-product.ts';

/** Adapters' A, as tensor-product.ts sees it. */
const A_LAYOUT = { format: 'f16', pack: 8 } as const;

/** step, a, x -> s */
export const shrinkTiles = (tile: TensorTile, cores: TensorCores): Kernel =>
  tensorKernel('shrink-tiles', ['read', 'read', 'read', 'write'], [], { tile, layout: A_LAYOUT, cores });

/**
 * Few rows a workgroup, as there are no columns to make many workgroups of, and K in long chunks: one has little else under
 * way while it waits for memory. All ranks up to 64 at once. Null where no tile fits the device.
 */
export function shrinkTile(k: number, cores: TensorCores): TensorTile | null {
  for (const columns of [64, 32]) {
    for (const depth of [256, 128, 64, 32, 16]) {
      const rows = { rows: 16, subgroupRows: 16, columns, subgroupColumns: 16 };
      const tile: TensorTile = { ...rows, depth, buffers: 1, direct: false };
      if (fits(tile, k, A_LAYOUT, cores)) return tile;
    }
  }
  return null;
}

export const shrinkTilesConstants = (k: number, lora: LoraShape): Record<string, number> => ({
  ...shrinkConstants(k, lora),
  QUERIES_AT: HEADER.QUERIES_AT,
});

export const shrinkTilesGrid = (
  lora: LoraShape,
  tile: TensorTile,
  step: Pick<StepShape, 'tiles' | 'maxRank'>,
): Grid => [step.tiles, lora.slices.length, Math.ceil(step.maxRank / tile.columns)];
