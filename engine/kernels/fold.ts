/** W' = W + scale · B · A: the lengths of its rows for DoRA, or itself for merged mode. See fold.wgsl. */
import type { GroupShape, LoraLayout } from '../transformer/dimensions.ts';
import { defineKernel, type Grid } from './kernel.ts';
import { layoutConstants, type WeightLayout } from './weight-format.ts';

const BINDINGS = ['read', 'write', 'read', 'read', 'read', 'write'] as const;

/** place, w, a, b, m -> marks: column words (w is not changed) */
export const foldColumns = defineKernel('fold', BINDINGS, { entry: 'columns', parts: ['weight-words'] });
/** place, w, a, b, m -> w, which must be f16, and marks: what does not fit it */
export const foldMerge = defineKernel('fold', BINDINGS, { entry: 'merge', parts: ['weight-words'] });

/** Words of `place` before its pages. */
export const PLACE_WORDS = 4;

/** @param weights layout of W */
export function foldConstants(
  { group, k, n, slices }: GroupShape,
  layout: LoraLayout,
  weights: WeightLayout,
  software: boolean,
) {
  // On a CPU splitting K buys nothing; a GPU needs the invocations.
  const kSplit = software ? 1 : 32;
  const { aAt, bAt } = layout.groups[group];
  return {
    K: k,
    N: n,
    SLICES: slices.length,
    SLICE1: slices[1]?.at ?? 0xffffffff,
    SLICE2: slices[2]?.at ?? 0xffffffff,
    A_AT: aAt,
    B_AT: bAt,
    FIRST: layout.groupColumns[group],
    KSPLIT: kSplit,
    THREADS: 8 * kSplit,
    ...layoutConstants(weights),
  };
}

export const foldGrid = ({ n }: GroupShape): Grid => [n / 32, 1, 1];
