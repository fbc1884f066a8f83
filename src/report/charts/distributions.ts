/**
 * Distributions over each other: the share of requests (or tokens, or seconds) that came within a value, line by line.
 *
 * Panels in. Out: for each panel charts at its busiest load, where adapter counts (or the two targets) lie over each other; and for
 * the page every cell's quantiles, so that its reader can put any cells over each other. From the HDR histograms, merged over the
 * runs of a cell. Requests that failed have no value, and are more than any that was seen: a line ends at the share that was.
 */
import type { CellResult, Result } from '../../result/schema.ts';
import { METRIC_NAMES } from '../metric-names.ts';
import { fourDigits, plural, shareText } from '../numbers.ts';
import { cellKey, loadOf, loadText, type Panel, type Series } from '../panels.ts';
import { cellFigure, figureRuns, figureText } from '../values.ts';
import type { Chart, ChartGroup, Row, Spec } from './chart.ts';
import { distributionSpec } from './distribution-spec.ts';
import { NUMBERED } from './explore.ts';
import { binsOf, type Counts, fillBins, LOG_FROM, mergedCounts } from './histogram-bins.ts';
import { adapterLegend } from './points.ts';

export const DISTRIBUTION_METRICS = [
  {
    key: 'ttft',
    title: METRIC_NAMES.ttft.long,
    short: METRIC_NAMES.ttft.short,
    unit: 'ms',
    factor: 1e-6,
    of: 'request',
  },
  { key: 'itl', title: METRIC_NAMES.itl.long, short: METRIC_NAMES.itl.short, unit: 'ms', factor: 1e-6, of: 'token' },
  {
    key: 'tpot',
    title: METRIC_NAMES.tpot.long,
    short: METRIC_NAMES.tpot.short,
    unit: 'ms',
    factor: 1e-6,
    of: 'request',
  },
  { key: 'e2e', title: METRIC_NAMES.e2e.long, short: METRIC_NAMES.e2e.short, unit: 'ms', factor: 1e-6, of: 'request' },
  {
    key: 'output_tokens_per_second',
    title: 'Output tokens in each second',
    short: 'Throughput',
    unit: 'tokens in a second',
    factor: 1,
    of: 'second',
  },
] as const;

type Metric = (typeof DISTRIBUTION_METRICS)[number];

/** Shares at which quantiles are fourDigits: every half percent, and the tail. */
export const SHARES: readonly number[] = [...Array.from({ length: 200 }, (_, i) => i / 200), 0.999, 0.9999, 1];

export interface DistributionLine {
  /** Nearest-rank quantiles at SHARES, in the metric's unit; null from where failed requests lie. */
  quantiles: (number | null)[];
  /** Shares of the bins that all lines of the metric have. */
  bins: number[];
  seen: number;
  censored: number;
  /** Mean and percentiles as the tables have them. */
  words: string[];
}

export interface DistributionCell {
  key: string;
  name: string;
  panel: string;
  load: string;
  adapters: string;
  color: number;
  isB: boolean;
  lines: Record<string, DistributionLine>;
}

export interface DistributionData {
  metrics: { key: string; title: string; unit: string; of: string; edges: number[]; scale: 'linear' | 'log' }[];
  shares: readonly number[];
  cells: DistributionCell[];
  /** Lines that are drawn at once, at most. */
  most: number;
  /** The largest over the smallest value from which on their axis is a logarithm. */
  logFrom: number;
}

const MOST_LINES = 12;
export const WORDS = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999'] as const;

function samplesOf(cell: CellResult, { key }: Metric): { counts: Counts; seen: number; censored: number } {
  const metrics = figureRuns(cell).flatMap(({ metrics }) => metrics[key] ?? []);
  const counts = mergedCounts(metrics.flatMap((metric) => ('hdr' in metric && metric.hdr ? [metric.hdr] : [])));
  return {
    counts,
    seen: counts.reduce((sum, [, count]) => sum + count, 0),
    censored: metrics.reduce((sum, metric) => sum + ('censored' in metric ? metric.censored : 0), 0),
  };
}

/** Nearest-rank quantiles at rising shares of seen + censored samples, by a walk through the histogram. */
export function quantilesOf(counts: Counts, censored: number, shares: readonly number[]): (number | null)[] {
  const seen = counts.reduce((sum, [, count]) => sum + count, 0);
  let at = 0;
  let below = 0;
  return shares.map((share) => {
    const rank = Math.max(1, Math.ceil(share * (seen + censored) - 1e-9));
    if (rank > seen) return null;
    while (below + counts[at]![1] < rank) below += counts[at++]![1];
    return counts[at]![0];
  });
}

/** What the page needs to put any cells over each other; null where no cell has a distribution. */
export function distributionsOf(result: Result, panels: readonly Panel[]): DistributionData | null {
  const places = distinctCells(panels);
  const metrics = DISTRIBUTION_METRICS.flatMap((metric) => {
    const all = places.map(({ cell }) => samplesOf(cell, metric));
    const filled = all.filter(({ counts }) => counts.length > 0);
    if (filled.length === 0) return [];
    const low = Math.min(...filled.map(({ counts }) => counts[0]![0])) * metric.factor;
    const high = Math.max(...filled.map(({ counts }) => counts.at(-1)![0])) * metric.factor;
    return [{ metric, all, bins: binsOf(low, high, metric.of === 'second') }];
  });
  if (metrics.length === 0) return null;
  const cells = places.map(({ panel, series, cell }, i): DistributionCell => {
    const lines = metrics.flatMap(({ metric, all, bins }): [string, DistributionLine][] => {
      const { counts, seen, censored } = all[i]!;
      if (seen === 0) return [];
      const quantiles = quantilesOf(counts, censored, SHARES);
      return [
        [
          metric.key,
          {
            quantiles: quantiles.map((value) => (value === null ? null : fourDigits(value * metric.factor))),
            bins: fillBins(counts, bins.edges, metric.factor).map((count) => fourDigits(count / (seen + censored))),
            seen,
            censored,
            words: WORDS.map((stat) => figureText(cellFigure(cell, metric.key, stat))),
          },
        ],
      ];
    });
    const load = loadText(panel.loadKind, loadOf(cell.at));
    return {
      key: cellKey(result, cell),
      name: `${series.label}, ${load}`,
      panel: panel.label,
      load,
      adapters: series.label,
      color: series.color,
      isB: series.arm === 'B',
      lines: Object.fromEntries(lines),
    };
  });
  return {
    metrics: metrics.map(({ metric: { key, title, unit, of }, bins }) => ({
      key,
      title: unit === 'ms' ? `${title} (${METRIC_NAMES[key as 'ttft'].short})` : title,
      unit,
      of,
      edges: bins.edges.map(fourDigits),
      scale: bins.scale,
    })),
    shares: SHARES,
    cells,
    most: MOST_LINES,
    logFrom: LOG_FROM,
  };
}

/** Base cells stand in several panels; here once, in the first. */
function distinctCells(panels: readonly Panel[]): { panel: Panel; series: Series; cell: CellResult }[] {
  const seen = new Set<CellResult>();
  return panels.flatMap((panel) =>
    panel.series.flatMap((series) =>
      series.cells.flatMap((cell) => {
        if (seen.has(cell)) return [];
        seen.add(cell);
        return [{ panel, series, cell }];
      }),
    ),
  );
}

/** By form and scale of x, as page/distributions.js names them. */
export function distributionSpecs(): Record<string, Spec> {
  const specs: Record<string, Spec> = {};
  for (const form of ['cdf', 'tail', 'histogram'] as const) {
    for (const scale of ['linear', 'log'] as const) {
      specs[`distribution ${form} ${scale}`] = distributionSpec({
        form,
        scale,
        xTitle: '',
        legend: NUMBERED,
        tips: true,
      });
    }
  }
  return specs;
}

/** The charts that are there without a script: all lines of a panel at its busiest load. null where there is nothing to draw. */
export function distributionGroup(panel: Panel): ChartGroup | null {
  const load = panel.loads.at(-1)!;
  const lines = panel.series.flatMap((series) => {
    const cell = series.cells.find(({ at }) => loadOf(at) === load);
    return cell === undefined ? [] : [{ series, cell }];
  });
  const charts = DISTRIBUTION_METRICS.flatMap((metric) => chartOf(panel, lines, metric) ?? []);
  if (charts.length === 0) return null;
  return {
    title: `At ${loadText(panel.loadKind, load)}, the busiest`,
    lead: 'How large a share came within a value: a line further right is slower, and the height at which it bends is the share that was still fast. A line that ends below 100 % has failed requests beyond it.',
    legend: adapterLegend(panel).filter(({ series }) => lines.some((line) => line.series.label === series)),
    charts,
    table: {
      columns: ['metric', 'cell', ...WORDS.map((stat) => (stat === 'p999' ? 'p99.9' : stat))],
      rows: DISTRIBUTION_METRICS.filter(({ unit }) => unit === 'ms').flatMap(({ key, short }) =>
        lines.map(({ series, cell }) => [
          `${short} (ms)`,
          series.label,
          ...WORDS.map((stat) => figureText(cellFigure(cell, key, stat))),
        ]),
      ),
    },
  };
}

function chartOf(panel: Panel, lines: readonly { series: Series; cell: CellResult }[], metric: Metric): Chart | null {
  const parts = lines.flatMap(({ series, cell }) => {
    const { counts, seen, censored } = samplesOf(cell, metric);
    if (seen === 0) return [];
    const quantiles = quantilesOf(counts, censored, SHARES).map((value) =>
      value === null ? null : value * metric.factor,
    );
    return [{ series, cell, quantiles, seen, censored }];
  });
  const values = parts.flatMap(({ quantiles }) => quantiles.filter((value) => value !== null));
  if (values.length === 0) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = low > 0 && high / low > LOG_FROM ? 'log' : 'linear';
  const rows = parts.flatMap(({ series, quantiles }) => stepsOf(quantiles, series.label));
  const failed = parts.reduce((sum, { censored }) => sum + censored, 0);
  const inWords = parts.map(({ series, cell, seen, censored }) => {
    const lost = censored === 0 ? '' : `, ${censored} of ${plural(seen + censored, metric.of)} failed and lie beyond`;
    const [middle, tail] = [quantileText(cell, metric, 'p50'), quantileText(cell, metric, 'p99')];
    return `${series.label}: ${metric.unit === 'ms' ? `p50 ${middle}, p99 ${tail}` : plural(seen, metric.of)}${lost}`;
  });
  return {
    title: metric.short,
    unit: `share of ${metric.of}s within${failed === 0 ? '' : `; ${shareText(failed / parts.reduce((sum, part) => sum + part.seen + part.censored, 0))} failed`}`,
    spec: distributionSpec({ form: 'cdf', scale, xTitle: metric.unit, legend: adapterLegend(panel), tips: false }),
    rows,
    columns: { series: 'cell', x: `${metric.short} (${metric.unit})`, y: `share of ${metric.of}s within` },
    label: `Cumulative distribution of ${metric.short} in ${metric.unit}. ${inWords.join('; ')}.`,
  };
}

const quantileText = (cell: CellResult, { key }: Metric, stat: 'p50' | 'p99'): string =>
  figureText(cellFigure(cell, key, stat));

/** A line of a cumulative distribution; values that repeat are one step. */
export function stepsOf(quantiles: readonly (number | null)[], series: string): Row[] {
  return quantiles.flatMap((x, i): Row[] => {
    if (x === null) return [];
    const isLastOfStep = quantiles[i + 1] !== x;
    const isFirst = i === 0;
    return isLastOfStep || isFirst ? [{ x: fourDigits(x), y: SHARES[i]!, series }] : [];
  });
}
