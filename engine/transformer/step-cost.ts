/**
 * What a step must move and compute at least, by stage, from its shapes: the ground that a stage's time stands on.
 *
 * Bytes are those that have to come from memory whatever the kernels: each matrix once, the A and B of each adapter in the step
 * once at its true rank, keys and values of each sequence once. Activations are left out: they are small and stay in caches.
 * Operations are those of the products, a multiply-add counting as two; DoRA's column words, norms and softmax are left out.
 */
import type { Geometry } from '../models/geometry.ts';
import type { Step } from '../scheduler/scheduler.ts';
import { GROUPS, type Group, type GroupShape } from './dimensions.ts';

export interface Cost {
  bytes: number;
  operations: number;
}

export type StepCost = Record<Group | 'attention' | 'head', Cost>;

/** @param weightBytes of one layer's matrices as they are stored, and of the head */
export function stepCost(
  g: Geometry,
  shapes: Record<Group, GroupShape>,
  weightBytes: Record<Group, number> & { head: number },
  { parts, rows, sampled }: Step,
): StepCost {
  const ranks = new Map(
    parts.flatMap(({ sequence: { adapter } }) => (adapter?.place ? [adapter.place] : [])).map((p) => [p, p.rank]),
  );
  const distinct = [...ranks.values()].reduce((sum, rank) => sum + rank, 0);
  const rankRows = parts.reduce((sum, { sequence, count }) => sum + count * (sequence.adapter?.place?.rank ?? 0), 0);
  const cost = {} as StepCost;
  for (const group of GROUPS) {
    const { k, slices } = shapes[group];
    const columns = slices.reduce((sum, slice) => sum + slice.columns, 0);
    const ofRank = slices.length * k + columns;
    cost[group] = {
      bytes: g.layers * (weightBytes[group] + 2 * distinct * ofRank),
      operations: 2 * g.layers * (rows * k * columns + rankRows * ofRank),
    };
  }
  // A row at position p attends to p + 1 positions, each of a head's products taking 2 * headDim operations twice.
  const seen = parts.reduce((sum, { first, count }) => sum + count * first + (count * (count + 1)) / 2, 0);
  const positions = parts.reduce((sum, { first, count }) => sum + first + count, 0);
  cost.attention = {
    bytes: g.layers * positions * 2 * g.kvHeads * g.headDim * 2,
    operations: g.layers * seen * g.heads * g.headDim * 4,
  };
  cost.head = {
    bytes: sampled.length > 0 ? weightBytes.head : 0,
    operations: 2 * sampled.length * g.hidden * g.vocab,
  };
  return cost;
}
