/**
 * What adapters cost: a cell's figure over that of the base model alone at the same load.
 *
 * A panel, one of its cells, a metric and a statistic in; the ratio with its interval out, or why there is none. Ratios are what
 * carries over between machines best, so they are the report's headline; absolute figures stand beside them.
 *
 * The mathematics is that of `bench compare` (compare/ratio.ts), one run of either cell being a pair: the runs of one replicate
 * are a block in a random order (plan/order.ts), with the same lengths and arrivals. So the ratio is the geometric mean of the
 * pairs' ratios, which is what the interval is around; with several runs it need not be, to the last digit, the quotient of the
 * two cells' mean figures.
 */
import { type ComparableRun, comparableRun } from '../result/comparable.ts';
import type { FigureStat } from '../result/figures.ts';
import type { CellResult } from '../result/schema.ts';
import { compared, saysNothing } from './compare/ratio.ts';
import { ratioText } from './numbers.ts';
import { loadOf, type Panel } from './panels.ts';
import { cellFigure, figureRuns, isComparable, type Shown, type Stat } from './values.ts';

export interface Cost {
  ratio: number | null;
  /** The true ratio is larger: the figure fell among requests that failed. */
  above: boolean;
  /** Where the ratio lies: of 95% by the pairs of runs, else put together of the 99% intervals within the two runs. */
  interval: [number, number] | null;
  /** Pairs that the interval is made of; 1 where it comes from within one run of either. */
  pairs: number;
  /** Of either cell some run is not valid, or the client made up a part of the figure. */
  doubtful: boolean;
  reason: string | null;
}

/** The base model's cell at the same load, of a comparison on the same side. */
export function baseCellOf(panel: Panel, cell: CellResult): CellResult | undefined {
  const arm = panel.series.find(({ cells }) => cells.includes(cell))?.arm;
  return panel.series
    .find((series) => series.adapters === 0 && series.arm === arm)
    ?.cells.find((candidate) => loadOf(candidate.at) === loadOf(cell.at));
}

const none = (reason: string): Cost => ({
  ratio: null,
  above: false,
  interval: null,
  pairs: 0,
  doubtful: false,
  reason,
});

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
  // Nothing differs from itself, and that it does not is known for certain.
  if (cell === base)
    return { ratio: 1, above: false, interval: null, pairs: 0, doubtful: figure.doubtful, reason: null };
  const ratio = compared(metric, stat as FigureStat, runsOf(base), runsOf(cell));
  if (ratio === null || ratio.ratio === null) return none('no figure that could be compared');
  return {
    ratio: ratio.ratio,
    above: figure.above,
    interval: saysNothing(ratio.interval) ? null : ratio.interval,
    pairs: ratio.ground === 'pairs' ? ratio.replicates.a : 1,
    doubtful: figure.doubtful || reference.doubtful,
    reason: null,
  };
}

/** Runs as `bench compare` takes them; those of one seed are pairs. */
const runsOf = (cell: CellResult): ComparableRun[] =>
  figureRuns(cell).map((run) => ({ ...comparableRun(run, ''), pair: run.seed }));

/** "1.25×", "> 1.25×", "1.25×?" for a doubtful one, "–". */
export const costText = (cost: Cost): string =>
  cost.ratio === null ? '–' : `${cost.above ? '> ' : ''}${ratioText(cost.ratio)}${cost.doubtful ? '?' : ''}`;

/** As a figure like any other, so that ratios are drawn and worded like every other. */
export const costShown = (cost: Cost): Shown => ({
  value: cost.ratio,
  unit: '× base',
  above: cost.above,
  spread:
    cost.interval === null
      ? null
      : { low: cost.interval[0], high: cost.interval[1], of: cost.pairs > 1 ? 'pairs' : 'within two runs' },
  runs: cost.pairs,
  partial: false,
  doubtful: cost.doubtful,
  reason: cost.reason,
});

/** "1.21 to 1.29×"; empty where there is no interval. */
export function costIntervalText({ interval }: Cost): string {
  if (interval === null) return '';
  return `${ratioText(interval[0]).replace('×', '')} to ${ratioText(interval[1])}`;
}

/** What the interval is, for people: "95 % interval over 4 pairs of runs", "within one run of each". */
export function costGroundText({ interval, pairs }: Cost): string {
  if (interval === null) return '';
  return pairs > 1 ? `95 % interval, ${pairs} pairs of runs` : 'what one run of each can tell';
}

/** The interval holds 1: these runs show no difference. */
export const showsNoCost = ({ interval }: Cost): boolean => interval !== null && interval[0] <= 1 && interval[1] >= 1;
