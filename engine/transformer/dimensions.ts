/**
 * Widths and pads that follow from a geometry, and the four groups of projections that share an input: q,k,v · o ·
 * gate,up · down. Each group is one matrix product; with adapters, one shrink and one expand.
 */
import { type LoraShape, padColumns } from '../kernels/matmul.ts';
import { TENSOR } from '../lora/random-f16.ts';
import { RANKS_PER_PAGE } from '../lora/slots.ts';
import type { Geometry } from '../models/geometry.ts';

export const GROUPS = ['qkv', 'o', 'gateUp', 'down'] as const;
export type Group = (typeof GROUPS)[number];

export interface Slice {
  /** Also the tensor's number in random streams. */
  tensor: number;
  /** First column in the group's matrix, and how many. */
  at: number;
  columns: number;
  /** q and k have gain 2, so that random attention is not flat and a wrong position or page shows. */
  gain: number;
}

export interface GroupShape {
  group: Group;
  /** Width of the input. */
  k: number;
  /** Columns, padded. */
  n: number;
  slices: Slice[];
}

export function groupShapes(g: Geometry): Record<Group, GroupShape> {
  const q = g.heads * g.headDim;
  const kv = g.kvHeads * g.headDim;
  const half = padColumns(2 * g.intermediate) / 2;
  const slice = (tensor: number, at: number, columns: number, gain = 1): Slice => ({ tensor, at, columns, gain });
  return {
    qkv: {
      group: 'qkv',
      k: g.hidden,
      n: padColumns(q + 2 * kv),
      slices: [slice(TENSOR.q, 0, q, 2), slice(TENSOR.k, q, kv, 2), slice(TENSOR.v, q + kv, kv)],
    },
    o: { group: 'o', k: q, n: padColumns(g.hidden), slices: [slice(TENSOR.o, 0, g.hidden)] },
    gateUp: {
      group: 'gateUp',
      k: g.hidden,
      n: 2 * half,
      slices: [slice(TENSOR.gate, 0, g.intermediate), slice(TENSOR.up, half, g.intermediate)],
    },
    down: { group: 'down', k: g.intermediate, n: padColumns(g.hidden), slices: [slice(TENSOR.down, 0, g.hidden)] },
  };
}

export interface LoraLayout {
  groups: Record<Group, LoraShape>;
  /** Words of one layer's A pool and B pool; both 0 without slots. */
  aWords: number;
  bWords: number;
  pages: number;
  slots: number;
  /**
   * Column words (kernels/matmul.wgsl) at the end of the B pool: where those of slot 0 begin, how many a slot has (one a
   * column of every group), and where within them each group's begin.
   */
  columnsAt: number;
  columnWords: number;
  groupColumns: Record<Group, number>;
}

/** Where each group's pages, and each slot's column words, lie in a layer's two pools. */
export function loraLayout(g: Geometry, pages: number, maxRank: number, slots: number): LoraLayout {
  const shapes = groupShapes(g);
  const ranks = Math.ceil(maxRank / RANKS_PER_PAGE) * RANKS_PER_PAGE;
  const columnWords = GROUPS.reduce((sum, group) => sum + shapes[group].n, 0);
  const columnsAt = (pages * columnWords * RANKS_PER_PAGE) / 2;
  let a = 0;
  let b = 0;
  let columns = 0;
  const groups = {} as Record<Group, LoraShape>;
  const groupColumns = {} as Record<Group, number>;
  for (const group of GROUPS) {
    const { k, n, slices } = shapes[group];
    groups[group] = {
      slices: slices.map(({ at }) => at),
      ranks,
      aAt: a,
      bAt: b,
      columnsAt: columnsAt + columns,
      columnWords,
    };
    groupColumns[group] = columns;
    a += (pages * slices.length * RANKS_PER_PAGE * k) / 2;
    b += (pages * n * RANKS_PER_PAGE) / 2;
    columns += n;
  }
  return { groups, aWords: a, bWords: b + slots * columnWords, pages, slots, columnsAt, columnWords, groupColumns };
}
