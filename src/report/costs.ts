/**
 * What adapters cost: a cell's figure over that of the base model alone at the same load.
 *
 * A panel, one of its cells, a metric and a statistic in; the ratio out, or why there is none. Ratios are what carries
 * over between machines best, so they are the report's headline; absolute figures stand beside them.
 *
 * The ratio is that of the two cells' figures (means over runs). Its range pairs runs that share a seed, since those
 * drew the same lengths and arrivals.
 */
import type { CellResult } from '../result/schema.ts';
import { ratioText } from './numbers.ts';
import { loadOf, type Panel } from './panels.ts';
import { cellFigure, figureRuns, isComparable, runFigure, type Stat } from './values.ts';

export interface Cost {
  ratio: number | null;
  /** The true ratio is larger: the figure fell among requests that failed. */
  above: boolean;
  /** Smallest and largest ratio of runs with the same seed, where there are several. */
  range: [number, number] | null;
  reason: string | null;
}

/** The base model's cell at the same load, of a comparison on the same side. */
export function baseCellOf(panel: Panel, cell: CellResult): CellResult | undefined {
  const arm = panel.series.find(({ cells }) => cells.includes(cell))?.arm;
  return panel.series
    .find((series) => series.adapters === 0 && series.arm === arm)
    ?.cells.find((candidate) => loadOf(candidate.at) === loadOf(cell.at));
}

const none = (reason: string): Cost => ({ ratio: null, above: false, range: null, reason });

export function costOf(panel: Panel, cell: CellResult, metric: string, stat: Stat): Cost {
  const base = baseCellOf(panel, cell);
  if (base === undefined) return none('no cell with 0 adapters at this load');
  if (!isComparable(base)) return none('the run of the base model did not finish');
  if (!isComparable(cell)) return none('the run did not finish');
  const reference = cellFigure(base, metric, stat);
  const figure = cellFigure(cell, metric, stat);
  if (reference.value === null) return none(`base model: ${reference.reason}`);
  if (figure.value === null) return none(figure.reason ?? 'not measured');
  if (reference.above) return none('the base model’s own figure is only a lower bound');
  if (reference.value <= 0) return none('the base model’s figure is zero');
  return {
    ratio: figure.value / reference.value,
    above: figure.above,
    range: rangeOf(cell, base, metric, stat),
    reason: null,
  };
}

function rangeOf(cell: CellResult, base: CellResult, metric: string, stat: Stat): [number, number] | null {
  const ratios: number[] = [];
  for (const run of figureRuns(cell)) {
    const partner = figureRuns(base).find((candidate) => candidate.seed === run.seed);
    const reference = partner && runFigure(partner, metric, stat).value;
    const value = runFigure(run, metric, stat).value;
    if (value !== null && reference) ratios.push(value / reference);
  }
  return ratios.length > 1 ? [Math.min(...ratios), Math.max(...ratios)] : null;
}

/** "1.25×", "> 1.25×", "–". */
export const costText = (cost: Cost): string =>
  cost.ratio === null ? '–' : `${cost.above ? '> ' : ''}${ratioText(cost.ratio)}`;
