/**
 * Which cells one engine can serve: those of one model in one format of weights. An adapter that is folded into the weights
 * makes a server of its own, since the base is not there any more.
 */
import type { Cell } from './plan.ts';

/** Cells with equal texts run on one engine. */
export function serverOf({ at, adapters }: Cell): string {
  const merged = mergedAdapter({ at, adapters });
  return `${at.model} ${at.weights ?? ''}${merged === null ? '' : ` with ${merged.name} merged`}`.trim();
}

/** The adapter that is folded into the weights for this cell; null where none is. */
export const mergedAdapter = ({ at, adapters }: Pick<Cell, 'at' | 'adapters'>): Cell['adapters'][number] | null =>
  at.mode === 'merged' ? (adapters[0] ?? null) : null;
