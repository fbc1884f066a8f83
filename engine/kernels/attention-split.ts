/** Attention of decode rows, split over their positions: see attention-split.wgsl and attention-merge.wgsl. */
import type { DeviceFacts } from '../device/facts.ts';
import { HEADER, type StepShape } from '../scheduler/step-data.ts';
import type { AttentionShape } from './attention.ts';
import { defineKernel, type Grid, type Kernel } from './kernel.ts';

/** Workgroups that keep the largest GPUs busy (132 processors of several each): no more pieces are made than that takes. */
export const MOST_SPLITS = 1024;
/** A piece is a multiple of this many positions; fewer would spend more on merging than they save. */
export const SPLIT_UNIT = 64;
const TEAMS = 8;

export interface SplitTeam {
  /** Lanes that share a position, 16 bytes each at a time. */
  lanes: number;
  /** They add their sums within a subgroup; else through workgroup memory. */
  subgroup: boolean;
}

/** As many lanes as a head has 16-byte pieces, or as a subgroup has. */
export function splitTeam(headDim: number, { subgroups }: Pick<DeviceFacts, 'subgroups'>): SplitTeam {
  const pieces = headDim / 8;
  // Of several widths, which one a dispatch gets is not known.
  if (!subgroups || subgroups.min < 4 || subgroups.min !== subgroups.max) return { lanes: pieces, subgroup: false };
  return { lanes: Math.min(pieces, subgroups.min), subgroup: true };
}

/** step, q, k cache, v cache -> pieces, o */
export const attentionSplit = (shape: AttentionShape, { lanes, subgroup }: SplitTeam): Kernel =>
  defineKernel('attention-split', ['read', 'read', 'read', 'read', 'write', 'write'], {
    parts: ['kv-splits', subgroup ? 'sum-lanes-subgroup' : 'sum-lanes'],
    enable: subgroup ? ['subgroups'] : [],
    fixed: {
      HEAD_DIM: shape.headDim,
      GROUP: shape.heads / shape.kvHeads,
      LANES: lanes,
      THREADS: TEAMS * lanes,
      SUBGROUP: subgroup ? 1 : 0,
    },
  });
/** step, pieces -> o */
export const attentionMerge = defineKernel('attention-merge', ['read', 'read', 'write'], { parts: ['kv-splits'] });

const splitting = ({ kvHeads }: AttentionShape) => ({
  KV_HEADS: kvHeads,
  DECODES: HEADER.DECODES,
  LONGEST: HEADER.LONGEST,
  MOST_SPLITS,
  SPLIT_UNIT,
});

export const attentionSplitConstants = (shape: AttentionShape) => ({
  ...splitting(shape),
  HEADS: shape.heads,
  BLOCK: shape.blockSize,
  QUERIES_AT: HEADER.QUERIES_AT,
});
export const attentionMergeConstants = (shape: AttentionShape) => ({
  ...splitting(shape),
  HEADS: shape.heads,
  HEAD_DIM: shape.headDim,
  QUERIES_AT: HEADER.QUERIES_AT,
});

type Decodes = Pick<StepShape, 'decodes' | 'longest'>;

/** Pieces of the longest row; the same arithmetic as split_positions() in parts/kv-splits.wgsl. With 1 nothing is merged. */
export function splitsOf({ kvHeads }: Pick<AttentionShape, 'kvHeads'>, { decodes, longest }: Decodes): number {
  const most = Math.max(1, Math.floor(MOST_SPLITS / (Math.max(1, decodes) * kvHeads)));
  const positions = Math.ceil(Math.ceil(longest / most) / SPLIT_UNIT) * SPLIT_UNIT;
  return Math.ceil(longest / positions);
}

export const attentionSplitGrid = (shape: AttentionShape, step: Decodes): Grid => [
  splitsOf(shape, step),
  shape.kvHeads,
  step.decodes,
];
export const attentionMergeGrid = ({ heads, headDim }: AttentionShape, { decodes }: Decodes): Grid => [
  Math.ceil((heads * headDim) / 4 / 64),
  decodes,
  1,
];

/** Bytes of all pieces of any step: where more than one is made of a row, decodes * KV heads * pieces is within MOST_SPLITS. */
export const pieceBytes = ({ heads, kvHeads, headDim }: Omit<AttentionShape, 'blockSize'>): number =>
  Math.floor(MOST_SPLITS / kvHeads) * heads * (headDim + 4) * 4;
