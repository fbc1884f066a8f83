/**
 * Runs without a reference beside them, as the judge takes them: pairs of which one half is missing. In: the cells of a result
 * (a plain run). Out: "pairs", each run a replicate; of each the last attempt.
 */
import type { CellResult } from '../result/schema.ts';
import type { PairedRuns } from './judgement.ts';

export const candidateAlone = (cells: readonly CellResult[]): PairedRuns[] =>
  cells.flatMap(({ id, runs }) => {
    const last = new Map(runs.map((run, i) => [run.replicate ?? i, run]));
    return [...last].map(([pair, b]) => ({ cell: id, pair, a: null, b }));
  });
