/**
 * cells.csv: one row for each run of each cell, for spreadsheets and notebooks.
 *
 * A result in, text out. Coordinates are `at.*`; each metric takes one column for each statistic, with its unit in the
 * name: `ttft_p50_ms`. Figures are not rounded. A percentile that is only a lower bound is ">12.3"; one that is missing
 * is empty. Unlike the report's table, runs that did not finish are here as well, with their state. `cell_cost_*` are of the
 * whole cell, over the base model at the same load, with the ends of their intervals.
 */
import { stringify } from 'csv-stringify/sync';
import { METRICS } from '../metrics/registry.ts';
import {
  type CellResult,
  isDistribution,
  isScalar,
  type MetricValue,
  type Result,
  type RunResult,
} from '../result/schema.ts';
import { COSTS } from './charts/cost.ts';
import { costOf } from './costs.ts';
import { panelsOf } from './panels.ts';
import { runFigure, type Shown, STATS, type Stat } from './values.ts';

const COORDINATES = [
  'model',
  'weights',
  'rank',
  'adapters',
  'popularity',
  'base_share',
  'kind',
  'modules',
  'mode',
  'residency',
  'control',
  'promptTokens',
  'outputTokens',
  'concurrency',
  'rate',
  'arrivals',
] as const satisfies readonly (keyof CellResult['at'])[];

const COUNTS = ['issued', 'ok', 'failed', 'cancelled', 'inputTokens', 'outputTokens'] as const;

/** "tokens/s" is no part of a column's name. */
const suffixOf = (unit: string): string =>
  unit
    .replace(/\//g, '_per_')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '');

interface Column {
  name: string;
  of: (cell: CellResult, run: RunResult, replicate: number) => string | number | boolean | null;
}

const bounded = (value: number | null, above: boolean): string | number | null =>
  value === null ? null : above ? `>${value}` : value;

const cellOfCsv = (shown: Shown): string | number | null => bounded(shown.value, shown.above);

/** Columns must not come and go with the data, so a latency that no run could give keeps all of its own. */
const isSpread = (samples: readonly MetricValue[]): boolean =>
  samples.some(isDistribution) || (!samples.some(isScalar) && samples[0]?.unit === 'ms');

/** A metric that is one number a run has one column; the others one for each statistic. */
function metricColumns(result: Result): Column[] {
  const runs = result.cells.flatMap((cell) => cell.runs);
  const known = METRICS.map((metric) => metric.name);
  const others = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].filter((name) => !known.includes(name));
  return [...known, ...others].flatMap((name): Column[] => {
    const samples = runs.map((run) => run.metrics[name]).filter((value) => value !== undefined);
    const first = samples[0];
    if (first === undefined) return [];
    const suffix = suffixOf(first.unit);
    const reason: Column = { name: `${name}_missing`, of: (_, run) => runFigure(run, name, 'value').reason };
    const column = (stat: Stat, label: string): Column => ({
      name: [name, label, suffix].filter(Boolean).join('_'),
      of: (_, run) => cellOfCsv(runFigure(run, name, stat)),
    });
    const count: Column = { name: `${name}_count`, of: (_, run) => run.metrics[name]?.count ?? null };
    const spread = isSpread(samples);
    const figures = spread ? STATS.map((stat) => column(stat, stat)) : [column('value', '')];
    const censored: Column = {
      name: `${name}_censored`,
      of: (_, run) => {
        const value = run.metrics[name];
        return value !== undefined && 'censored' in value ? value.censored : null;
      },
    };
    return [count, ...(spread ? [censored] : []), ...figures, reason];
  });
}

/** What adapters cost, of the cell: the same for all its runs. */
function costColumns(result: Result): Column[] {
  const panels = panelsOf(result);
  const costs = new Map(
    panels.flatMap((panel) =>
      panel.series.flatMap(({ cells }) =>
        cells.map((cell) => [cell, COSTS.map(({ metric, stat }) => costOf(panel, cell, metric, stat))] as const),
      ),
    ),
  );
  return COSTS.flatMap(({ metric, stat }, i): Column[] => {
    const name = `cell_cost_${metric}${stat === 'value' ? '' : `_${stat}`}`;
    const of = (cell: CellResult) => (cell.at.adapters === 0 ? undefined : costs.get(cell)?.[i]);
    return [
      { name, of: (cell) => bounded(of(cell)?.ratio ?? null, of(cell)?.above ?? false) },
      { name: `${name}_low`, of: (cell) => of(cell)?.interval?.[0] ?? null },
      { name: `${name}_high`, of: (cell) => of(cell)?.interval?.[1] ?? null },
    ];
  });
}

function columnsOf(result: Result): Column[] {
  return [
    { name: 'cell', of: (cell) => cell.id },
    { name: 'target', of: (cell) => cell.target },
    ...COORDINATES.map((key): Column => ({ name: `at.${key}`, of: (cell) => cell.at[key] ?? null })),
    { name: 'served_ranks', of: (cell) => cell.servedRanks?.join(' ') ?? null },
    { name: 'run', of: (_, __, replicate) => replicate },
    { name: 'pair', of: (_, run) => run.pair },
    { name: 'arm', of: (_, run) => run.arm },
    { name: 'attempt', of: (_, run) => run.attempt },
    { name: 'order', of: (_, run) => run.order },
    { name: 'seed', of: (_, run) => run.seed },
    { name: 'state', of: (_, run) => run.state },
    { name: 'valid', of: (_, run) => run.validity.valid },
    { name: 'started_at', of: (_, run) => run.startedAt },
    ...COUNTS.map(
      (key): Column => ({
        name: key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        of: (_, run) => run.counts[key],
      }),
    ),
    {
      name: 'errors',
      of: (_, run) =>
        Object.entries(run.errors)
          .map(([name, count]) => `${name}:${count}`)
          .join(' '),
    },
    ...metricColumns(result),
    ...costColumns(result),
  ];
}

export function cellsCsv(result: Result): string {
  const columns = columnsOf(result);
  const rows = result.cells.flatMap((cell) =>
    cell.runs.map((run, replicate) => columns.map((column) => column.of(cell, run, replicate))),
  );
  return stringify([columns.map((column) => column.name), ...rows], {
    cast: { boolean: (value) => String(value) },
    // A name from a server that starts with "=" would be a formula to a spreadsheet.
    escape_formulas: true,
  });
}
