/**
 * The two arms of a comparison, and the runs of either that belong together. In: cells of a result. Out: pairs.
 *
 * A pair is one run on A and one on B with the same seed, one right after the other. Both arms may be one and the same
 * target (A/A): then a cell holds the runs of both.
 */
import type { CellResult, RunResult } from './schema.ts';

/** A is the reference, or the scenario's own target where nothing is judged; B is what is held against it. */
export type Arm = 'A' | 'B';
export const ARMS: readonly Arm[] = ['A', 'B'];

/** Runs of one cell that are compared with each other; null where one was never begun, or could not be. */
export interface PairedRuns {
  /** The cell's id, the same on both targets. */
  cell: string;
  /** 0-based within the cell. */
  pair: number;
  a: RunResult | null;
  b: RunResult | null;
}

/** A run's name in requests.jsonl, unique in a result: "c3.0", or "c3.0.B" where it is half of a pair. */
export const runName = (cell: string, replicate: number, arm: string | null = null): string =>
  [cell, replicate, ...(arm === null ? [] : [arm])].join('.');

/** Every pair of which at least one run was begun, cell by cell, by number. Runs without an arm are in none. */
export function pairsOf(cells: readonly CellResult[]): PairedRuns[] {
  const pairs = new Map<string, PairedRuns>();
  for (const { id, runs } of cells) {
    for (const run of runs) {
      if (run.pair === null || run.arm === null) continue;
      const key = runName(id, run.pair);
      const pair = pairs.get(key) ?? { cell: id, pair: run.pair, a: null, b: null };
      pairs.set(key, { ...pair, [run.arm === 'A' ? 'a' : 'b']: run });
    }
  }
  const place = new Map([...new Set(cells.map(({ id }) => id))].map((id, i) => [id, i]));
  return [...pairs.values()].sort((x, y) => place.get(x.cell)! - place.get(y.cell)! || x.pair - y.pair);
}
