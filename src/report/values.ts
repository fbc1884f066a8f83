/**
 * The one path from a result to a figure that somebody reads.
 *
 * A cell (or one of its runs), a metric and a statistic in; a `Shown` out: the number, whether it is only a lower bound,
 * how far the runs of the cell lie apart, and why it is missing where it is. HTML, CSV and terminal all take their
 * figures from here, so that they cannot disagree.
 *
 * The run is the statistical unit: a cell's figure is the mean of its runs' figures, never a figure of pooled samples.
 * Runs that did not finish are left out; where a cell has no other, they are shown and marked as partial.
 */
import {
  type Bounded,
  type CellResult,
  type Distribution,
  isDistribution,
  isScalar,
  isUnavailable,
  type RunResult,
} from '../result/schema.ts';
import { figure, NONE, shareText } from './numbers.ts';

/** Statistics of a distribution, in the order tables show them. */
export const STATS = ['mean', 'std', 'min', 'p50', 'p90', 'p95', 'p99', 'p999', 'max'] as const;
/** "value" asks for the number of a metric that has one a run; for a distribution it is the mean. */
export type Stat = (typeof STATS)[number] | 'value';

export interface Shown {
  /** In `unit`; null when there is none, and then `reason` says why. */
  value: number | null;
  unit: string;
  /** The true figure is larger than `value`: it fell among requests that failed. */
  above: boolean;
  /** How well it is known; null where nothing says. */
  spread: Spread | null;
  /** Runs behind the figure. */
  runs: number;
  /** It comes from runs that were cut short. */
  partial: boolean;
  /** Some run behind it is not valid, or the client made up a part of this figure. */
  doubtful: boolean;
  reason: string | null;
}

/**
 * Between what a figure lies: the smallest and the largest of several runs; of one run the 99% interval within it; of a ratio the 95%
 * interval by pairs of runs, or what one run of each can tell.
 */
export interface Spread {
  low: number;
  high: number;
  of: 'runs' | 'within the run' | 'pairs' | 'within two runs';
}

const missing = (unit: string, reason: string, partial = false): Shown => ({
  value: null,
  unit,
  above: false,
  spread: null,
  runs: 0,
  partial,
  doubtful: false,
  reason,
});

const isDone = (run: RunResult): boolean => run.state === 'done';

/** The runs a cell's figures come from: those that finished, or all of them when none did. */
export function figureRuns(cell: CellResult): RunResult[] {
  const done = cell.runs.filter(isDone);
  return done.length > 0 ? done : cell.runs;
}

/** Fit for charts and for comparing with other cells: at least one run finished. */
export const isComparable = (cell: CellResult): boolean => cell.runs.some(isDone);

function boundedOf(metric: Distribution, stat: Stat): Bounded {
  return metric[stat === 'value' ? 'mean' : stat];
}

function withinOf({ intervals, ci99 }: Distribution, stat: Stat): Spread | null {
  const known =
    stat === 'p50' || stat === 'p90' || stat === 'p95' || stat === 'p999' || stat === 'p99' ? intervals?.[stat] : null;
  const ends = known ?? (stat === 'p99' ? ci99 : null);
  return ends === null ? null : { low: ends[0], high: ends[1], of: 'within the run' };
}

const isDoubtful = ({ validity }: RunResult, metric: string, stat: Stat): boolean =>
  !validity.valid || (validity.clientError?.limited.includes(`${metric}.${stat}`) ?? false);

/** One run's figure. */
export function runFigure(run: RunResult, metric: string, stat: Stat): Shown {
  const value = run.metrics[metric];
  const partial = !isDone(run);
  if (value === undefined) return missing('', 'not measured by this version', partial);
  if (isUnavailable(value)) return missing(value.unit, value.reason, partial);
  let bounded: Bounded | null = null;
  if (isDistribution(value)) bounded = boundedOf(value, stat);
  else if (isScalar(value) && stat === 'value') bounded = value.value;
  if (bounded === null) return missing(value.unit, `has no ${stat}: it is one number a run`, partial);
  const number = typeof bounded === 'number' ? bounded : bounded.gt;
  if (!Number.isFinite(number)) return missing(value.unit, 'not a finite number', partial);
  return {
    value: number,
    unit: value.unit,
    above: typeof bounded !== 'number',
    spread: isDistribution(value) ? withinOf(value, stat) : null,
    runs: 1,
    partial,
    doubtful: isDoubtful(run, metric, stat),
    reason: null,
  };
}

/** A cell's figure: the mean of its runs' figures. The mean of lower bounds and exact figures is itself a lower bound. */
export function cellFigure(cell: CellResult, metric: string, stat: Stat): Shown {
  const all = figureRuns(cell).map((run) => runFigure(run, metric, stat));
  const known = all.filter((one): one is Shown & { value: number } => one.value !== null);
  const first = known[0];
  if (first === undefined) return all[0] ?? missing('', 'no run was started');
  const values = known.map((one) => one.value);
  return {
    value: values.reduce((sum, value) => sum + value, 0) / values.length,
    unit: first.unit,
    above: known.some((one) => one.above),
    spread: values.length > 1 ? { low: Math.min(...values), high: Math.max(...values), of: 'runs' } : first.spread,
    runs: values.length,
    partial: first.partial,
    doubtful: known.some((one) => one.doubtful),
    reason: null,
  };
}

/** Text of a figure without its unit: "12.3", "> 12.3", "12.3†" for a run cut short, "12.3?" for a doubtful one, "–" for none. */
export function figureText(shown: Shown): string {
  if (shown.value === null) return NONE;
  const number = shown.unit === 'ratio' ? shareText(shown.value) : figure(shown.value);
  return `${shown.above ? '> ' : ''}${number}${shown.partial ? '†' : shown.doubtful ? '?' : ''}`;
}

/** The figure with its unit, and how well it is known: "12.3 ms (11.9 to 12.8 over 3 runs)", "12.3 ms (99 % interval 11.9 to 12.8)". */
export function figureWithUnit(shown: Shown): string {
  if (shown.value === null) return shown.reason === null ? NONE : `${NONE} (${shown.reason})`;
  const unit =
    shown.unit === 'ratio' || shown.unit === '' ? '' : `${shown.unit.startsWith('×') ? '' : ' '}${shown.unit}`;
  return `${figureText(shown)}${unit}${spreadText(shown)}`;
}

function spreadText(shown: Shown): string {
  const { spread } = shown;
  if (spread === null) return '';
  const text = (value: number): string =>
    figureText({ ...shown, value, above: false, partial: false, doubtful: false });
  const ends = `${text(spread.low)} to ${text(spread.high)}`;
  if (spread.of === 'runs') return ` (${ends} over ${shown.runs} runs)`;
  if (spread.of === 'within two runs') return ` (${ends} by one run of each)`;
  return ` (${spread.of === 'pairs' ? '95' : '99'} % interval ${ends})`;
}

export interface Counts {
  issued: number;
  ok: number;
  failed: number;
  cancelled: number;
  inputTokens: number;
  outputTokens: number;
  /** Failures by name, over all runs. */
  errors: Record<string, number>;
}

/** What happened to a cell's requests, over every run, finished or not: a failure is never left out. */
export function cellCounts(cell: CellResult): Counts {
  const sum: Counts = { issued: 0, ok: 0, failed: 0, cancelled: 0, inputTokens: 0, outputTokens: 0, errors: {} };
  for (const run of cell.runs) {
    for (const key of ['issued', 'ok', 'failed', 'cancelled', 'inputTokens', 'outputTokens'] as const) {
      sum[key] += run.counts[key];
    }
    for (const [name, count] of Object.entries(run.errors)) sum.errors[name] = (sum.errors[name] ?? 0) + count;
  }
  return sum;
}

/** Failed requests of a cell as text: "0", or "3 of 48 (6.3 %)". */
export function failuresText(counts: Counts): string {
  if (counts.failed === 0) return '0';
  return `${counts.failed} of ${counts.issued} (${shareText(counts.failed / counts.issued)})`;
}
