/** s = x · Aᵀ for the rows that have an adapter: see shrink.wgsl. */
import { HEADER, type StepShape } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';
import type { LoraShape } from './matmul.ts';

/** step, x, a -> s */
export const shrink = defineKernel('shrink', ['read', 'read', 'read', 'write']);
export const shrinkConstants = (k: number, lora: LoraShape) => ({
  K: k,
  SLICES: lora.slices.length,
  RANKS: lora.ranks,
  A_AT: lora.aAt,
  SLOTS_AT: HEADER.SLOTS_AT,
  PAGES_AT: HEADER.PAGES_AT,
  TILES_AT: HEADER.TILES_AT,
});
export const shrinkGrid = (lora: LoraShape, step: StepShape): Grid => [
  step.tiles,
  lora.slices.length,
  Math.ceil(step.maxRank / 4),
];
