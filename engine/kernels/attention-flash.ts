/** Attention of a prompt's rows, tile by tile: see attention-flash.wgsl. */
import type { DeviceFacts } from '../device/facts.ts';
import { HEADER, QUERY_ROWS, type StepShape } from '../scheduler/step-data.ts';
import type { AttentionShape } from './attention.ts';
import { defineKernel, type Grid, type Kernel } from './kernel.ts';

const KEYS = 32;

export interface FlashTile {
  /** Rows of a sequence, and query heads of a KV head, that share the keys and values a workgroup reads. */
  rows: 8 | 16;
  heads: number;
}

/** Workgroup memory: queries in f32, keys or values in f16, weights in f32. */
export const flashBytes = ({ headDim }: Pick<AttentionShape, 'headDim'>, { rows, heads }: FlashTile): number =>
  4 * rows * heads * headDim + 2 * KEYS * headDim + 4 * rows * heads * KEYS;

/** The most rows and heads (at most four, and a divisor of the group) that the device's workgroup memory holds. */
export function flashTile(
  shape: Pick<AttentionShape, 'heads' | 'kvHeads' | 'headDim'>,
  { maxWorkgroupBytes }: Pick<DeviceFacts, 'maxWorkgroupBytes'>,
): FlashTile {
  const group = shape.heads / shape.kvHeads;
  const tiles = [4, 3, 2, 1]
    .filter((heads) => group % heads === 0)
    .flatMap((heads): FlashTile[] => [
      { rows: QUERY_ROWS, heads },
      { rows: 8, heads },
    ])
    .filter((tile) => flashBytes(shape, tile) <= maxWorkgroupBytes)
    .sort((a, b) => b.rows * b.heads - a.rows * a.heads);
  return tiles[0] ?? { rows: 8, heads: 1 };
}

/** step, q, k cache, v cache -> o */
export const attentionFlash = (shape: AttentionShape, { rows, heads }: FlashTile): Kernel =>
  defineKernel('attention-flash', ['read', 'read', 'read', 'read', 'write'], {
    fixed: { HEAD_DIM: shape.headDim, ROWS: rows, HEADS_TILE: heads, THREADS: 2 * rows * heads },
  });

/** @param rows those of prompts alone, or all of the step: decodes are tiles of one row */
export const attentionFlashConstants = (shape: AttentionShape, rows: 'prompts' | 'all') => ({
  HEADS: shape.heads,
  KV_HEADS: shape.kvHeads,
  BLOCK: shape.blockSize,
  QUERIES_AT: HEADER.QUERIES_AT,
  DECODES: HEADER.DECODES,
  SKIP_DECODES: rows === 'prompts' ? 1 : 0,
});

export const attentionFlashGrid = (
  { heads }: AttentionShape,
  tile: FlashTile,
  step: Pick<StepShape, 'decodes' | 'queryTiles'>,
  rows: 'prompts' | 'all',
): Grid => [step.queryTiles + (rows === 'all' ? step.decodes : 0), heads / tile.heads, QUERY_ROWS / tile.rows];
