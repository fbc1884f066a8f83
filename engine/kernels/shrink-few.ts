/**
 * s = x · Aᵀ for the rows that have an adapter, with as many loads under way as few workgroups need: see shrink-few.wgsl. It
 * leaves in s what shrink.ts does. Needs subgroups.
 */
import { HEADER, type StepShape } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';
import type { LoraShape } from './matmul.ts';

/** step, x, a -> s */
export const shrinkFew = defineKernel('shrink-few', ['read', 'read', 'read', 'write'], { enable: ['subgroups'] });

export interface ShrinkFewTile {
  /** Ranks of a workgroup: fewer make more workgroups, which read x as often. */
  ranksEach: 1 | 2 | 4;
  threads: number;
  /** 16-byte pieces of each rank that are loaded before the first is used. */
  unroll: 1 | 2 | 4;
}

/** Reasoned, and not yet measured on a GPU; test/perf/gpu/gemv.mjs measures the others. */
export const SHRINK_FEW: ShrinkFewTile = { ranksEach: 4, threads: 256, unroll: 2 };

/** Whether k and the pool's offsets are whole 16-byte pieces, as for every model whose widths are multiples of 8. */
export const shrinkFewTakes = (k: number, { aAt }: LoraShape): boolean => k % 8 === 0 && aAt % 4 === 0;

export const shrinkFewConstants = (k: number, lora: LoraShape, tile = SHRINK_FEW) => ({
  K: k,
  SLICES: lora.slices.length,
  RANKS: lora.ranks,
  RANKS_EACH: tile.ranksEach,
  THREADS: tile.threads,
  UNROLL: tile.unroll,
  A_AT: lora.aAt,
  SLOTS_AT: HEADER.SLOTS_AT,
  PAGES_AT: HEADER.PAGES_AT,
  TILES_AT: HEADER.TILES_AT,
});

export const shrinkFewGrid = (lora: LoraShape, step: Pick<StepShape, 'tiles' | 'maxRank'>, tile = SHRINK_FEW): Grid => [
  step.tiles,
  lora.slices.length,
  (Math.ceil(step.maxRank / 4) * 4) / tile.ranksEach,
];
