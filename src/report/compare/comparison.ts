/**
 * Two sides of `bench compare`, cell by cell and figure by figure. In: Comparables. Out: Comparison: ratios with intervals
 * (ratio.ts), what was lost, and what must be known. Plans or models that differ are refused, not set side by side.
 */
import { BenchError } from '../../errors.ts';
import type { At } from '../../plan/plan.ts';
import type { Comparable, ComparableCell } from '../../result/comparable.ts';
import { FIGURE_STATS, type FigureStat } from '../../result/figures.ts';
import { notesOn } from './notes.ts';
import { type Compared, compared } from './ratio.ts';
import { refuseUnlike } from './unlike.ts';

export interface ComparedCell {
  key: string;
  at: Partial<At> | null;
  /** Requests that did not succeed, of those issued. */
  lost: { a: [number, number]; b: [number, number] };
  figures: Compared[];
}

export interface Comparison {
  a: Comparable;
  b: Comparable;
  cells: ComparedCell[];
  /** What the reader must know. */
  notes: string[];
}

const LATENCIES = ['ttft', 'tpot', 'itl', 'e2e'] as const;
const RATES = [
  'output_tokens_per_second',
  'output_tokens_per_second_whole_run',
  'requests_per_second',
  'requests_per_second_whole_run',
  'goodput',
] as const;
const FIGURES: readonly (readonly [string, FigureStat])[] = [
  ...LATENCIES.flatMap((metric) => FIGURE_STATS.map((stat) => [metric, stat] as const)),
  ...RATES.map((metric) => [metric, 'value'] as const),
];

/** @throws BenchError USAGE where they are of different plans or models, NO_DATA where they have no figure in common */
export function compareSides(a: Comparable, b: Comparable): Comparison {
  refuseUnlike(a, b);
  const cells = pairsOfCells(a, b).map(([x, y]) => comparedCell(x, y));
  const notes = notesOn(a, b, cells);
  if (cells.every(({ figures }) => figures.length === 0)) {
    throw new BenchError('NO_DATA', `${a.from} and ${b.from} have no figure in common`, { hint: notes[0] });
  }
  return { a, b, cells, notes };
}

function pairsOfCells(a: Comparable, b: Comparable): [ComparableCell, ComparableCell][] {
  if (a.planHash === null || b.planHash === null) return [[a.cells[0]!, b.cells[0]!]];
  return a.cells.flatMap((cell): [ComparableCell, ComparableCell][] => {
    const other = b.cells.find(({ key }) => key === cell.key);
    return other === undefined ? [] : [[cell, other]];
  });
}

function comparedCell(a: ComparableCell, b: ComparableCell): ComparedCell {
  const lost = ({ runs }: ComparableCell): [number, number] => [
    runs.reduce((sum, run) => sum + run.lost, 0),
    runs.reduce((sum, run) => sum + run.issued, 0),
  ];
  return {
    key: a.key ?? b.key ?? 'the run',
    at: a.at ?? b.at,
    lost: { a: lost(a), b: lost(b) },
    figures: FIGURES.flatMap(([metric, stat]) => compared(metric, stat, a.runs, b.runs) ?? []),
  };
}
