/**
 * What finishes a projection whose product split-k.wgsl left in parts: their sum, the row's adapter (expand, DoRA's g, bias),
 * and then rotation and the KV write (reduce-rope.wgsl), residual and norm (reduce-norm.wgsl) or SwiGLU (reduce-swiglu.wgsl), in
 * one dispatch. They need no tensor cores.
 */
import { HEADER } from '../scheduler/step-data.ts';
import { type AttentionShape, attentionConstants } from './attention.ts';
import { expandConstants } from './expand-columns.ts';
import { defineKernel, type Grid } from './kernel.ts';
import type { MatmulShape } from './matmul.ts';

const parts = { parts: ['sum-partials', 'expand-columns'] };

/** step, partials, s, b, angles -> q, k cache, v cache */
export const reduceRope = defineKernel(
  'reduce-rope',
  ['read', 'read', 'read', 'read', 'read', 'write', 'write', 'write'],
  parts,
);
/** step, partials, s, b, residual, weight -> y, normed */
export const reduceNorm = defineKernel(
  'reduce-norm',
  ['read', 'read', 'read', 'read', 'read', 'read', 'write', 'write'],
  parts,
);
/** step, partials, s, b -> y */
export const reduceSwiglu = defineKernel('reduce-swiglu', ['read', 'read', 'read', 'read', 'write'], parts);

/** How the partial sums lie: [split][rows][n]. */
export interface Partials {
  split: number;
  rows: number;
}

function sumConstants(shape: MatmulShape, { split, rows }: Partials): Record<string, number> {
  return { N: shape.n, SPLIT: split, PART_ROWS: rows, ROW_COUNT: HEADER.ROW_COUNT, ...expandConstants(shape.lora) };
}

export const reduceRopeConstants = (shape: MatmulShape, partials: Partials, attention: AttentionShape) => ({
  ...sumConstants(shape, partials),
  ...attentionConstants(attention),
});

/** @param eps of the norm that follows; null where none does */
export const reduceNormConstants = (shape: MatmulShape, partials: Partials, eps: number | null, threads: number) => ({
  ...sumConstants(shape, partials),
  OUT: shape.out,
  EPS: eps ?? 0,
  NORM: eps === null ? 0 : 1,
  THREADS: threads,
});

/** A row's workgroup: four columns a lane, as far as the device allows. */
export function reduceNormThreads(out: number, maxInvocations: number): number {
  let threads = 32;
  while (2 * threads <= Math.min(1024, maxInvocations) && threads * 4 < out) threads *= 2;
  return threads;
}

export const reduceSwigluConstants = (shape: MatmulShape, partials: Partials) => ({
  ...sumConstants(shape, partials),
  OUT: shape.out,
});

const LANES = 64;
export const reduceRopeGrid = ({ heads, kvHeads, headDim }: AttentionShape, rows: number): Grid => [
  Math.ceil(((heads + 2 * kvHeads) * headDim) / 8 / LANES),
  rows,
  1,
];
export const reduceNormGrid = (rows: number): Grid => [rows, 1, 1];
export const reduceSwigluGrid = (out: number, rows: number): Grid => [Math.ceil(out / 4 / LANES), rows, 1];
