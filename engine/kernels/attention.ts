/** Rotation and KV write, then paged attention: see rope-kv.wgsl and attention.wgsl. */
import { HEADER } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';

export interface AttentionShape {
  heads: number;
  kvHeads: number;
  /** 64 or 128. */
  headDim: number;
  blockSize: number;
}

/** step, qkv, angles -> q, k cache, v cache */
export const ropeKv = defineKernel('rope-kv', ['read', 'read', 'read', 'write', 'write', 'write']);
/** step, q, k cache, v cache -> o */
export const attention = defineKernel('attention', ['read', 'read', 'read', 'read', 'write']);

export const attentionConstants = ({ heads, kvHeads, headDim, blockSize }: AttentionShape) => ({
  HEADS: heads,
  KV_HEADS: kvHeads,
  HEAD_DIM: headDim,
  BLOCK: blockSize,
  ROWS_AT: HEADER.ROWS_AT,
  SEQUENCES_AT: HEADER.SEQUENCES_AT,
  BLOCKS_AT: HEADER.BLOCKS_AT,
});

export const ropeKvGrid = ({ heads, kvHeads, headDim }: AttentionShape, rows: number): Grid => [
  Math.ceil(((heads + 2 * kvHeads) * headDim) / 4 / 64),
  rows,
  1,
];
export const attentionGrid = ({ heads }: AttentionShape, rows: number): Grid => [rows, heads, 1];
