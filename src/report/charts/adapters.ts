/**
 * The adapters of a run beside each other: who waited longest, and whose tokens came slowest.
 *
 * Rows carry `x` (the adapter's place, fastest first), `name`, `count`, `p50`, `p90` and `p99`; a percentile among failed requests has
 * `above`. The base model is one of them where it had requests.
 */
import { BASE_MODEL } from '../../metrics/per-adapter.ts';
import { type Bounded, isDistribution, isScalar, type MetricValue, type RunResult } from '../../result/schema.ts';
import { METRIC_NAMES } from '../metric-names.ts';
import { figure, fourDigits, plural } from '../numbers.ts';
import type { Row, Spec } from './chart.ts';
import type { RunChart } from './close-up.ts';
import { PLAIN } from './lines.ts';
import { CONFIG } from './theme.ts';

type Metric = 'ttft' | 'tpot';
const SIZE = { width: 380, height: 190 } as const;

const numberOf = (value: Bounded): number => (typeof value === 'number' ? value : value.gt);

export function adapterRows({ perAdapter }: Pick<RunResult, 'perAdapter'>, metric: Metric): Row[] {
  const known = Object.entries(perAdapter).flatMap(([name, adapter]) => {
    const value: MetricValue = adapter[metric];
    return isDistribution(value)
      ? [{ name: name === BASE_MODEL ? 'base model' : name, count: adapter.count, value }]
      : [];
  });
  // One alone has nobody to stand beside.
  if (known.length < 2) return [];
  return known
    .sort((a, b) => numberOf(a.value.p50) - numberOf(b.value.p50))
    .map(({ name, count, value }, i) => ({
      x: i + 1,
      name,
      count,
      p50: fourDigits(numberOf(value.p50)),
      p90: fourDigits(numberOf(value.p90)),
      p99: fourDigits(numberOf(value.p99)),
      ...(typeof value.p99 === 'number' ? {} : { above: 'yes' }),
    }));
}

function spec(): Spec {
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: { nice: false, padding: 8, zero: false },
    axis: { title: 'adapters, fastest first', tickMinStep: 1, tickCount: 8, format: 'd' },
  };
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    scale: { zero: false, nice: true },
    axis: { title: 'ms', tickCount: 5, labelExpr: PLAIN },
  });
  const tip = {
    calculate:
      "datum.name + ': p50 ' + format(datum.p50, ',.3~r') + ', p90 ' + format(datum.p90, ',.3~r') + ', p99 ' + (datum.above != null ? '> ' : '') + format(datum.p99, ',.3~r') + ' ms of ' + datum.count + ' requests'",
    as: 'tip',
  };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...SIZE,
    autosize: { type: 'fit', contains: 'padding' },
    transform: [tip],
    layer: [
      {
        mark: { type: 'rule', color: 'var(--s1)', strokeWidth: 1.5, opacity: 0.6 },
        encoding: { x, y: y('p50'), y2: { field: 'p99' }, tooltip: { field: 'tip' } },
      },
      {
        mark: { type: 'tick', color: 'var(--s1)', thickness: 1.5, width: 7 },
        encoding: { x, y: y('p90'), tooltip: { field: 'tip' } },
      },
      {
        mark: { type: 'point', filled: true, color: 'var(--s1)', size: 46, stroke: 'var(--card)', strokeWidth: 0.8 },
        encoding: { x, y: y('p50'), tooltip: { field: 'tip' } },
      },
      {
        transform: [{ filter: 'datum.above != null' }],
        mark: { type: 'text', dy: -8, fontSize: 12, text: '↑', color: 'var(--s4)' },
        encoding: { x, y: y('p99') },
      },
    ],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}

function fairness(run: RunResult): string {
  const value = run.metrics['adapter_fairness'];
  return isScalar(value) && typeof value.value === 'number' ? ` Fairness (Jain) ${figure(value.value)}.` : '';
}

function label(metric: Metric, run: RunResult, rows: readonly Row[]): string {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return `${METRIC_NAMES[metric].short} by adapter: not known.`;
  const end = (row: Row): string => `${row['name']} with ${figure(Number(row['p50']))} ms`;
  return `${METRIC_NAMES[metric].short} of ${plural(rows.length, 'adapter')}: p50 from ${end(first)} to ${end(last)}.${fairness(run)}`;
}

export const ADAPTER_CHARTS: readonly RunChart[] = (['ttft', 'tpot'] as const).map((metric) => ({
  key: `adapters-${metric}`,
  title: `${METRIC_NAMES[metric].short} by adapter`,
  unit: 'ms: point p50, tick p90, line to p99',
  spec: spec(),
  columns: {
    name: 'adapter',
    count: 'requests',
    p50: 'p50 (ms)',
    p90: 'p90 (ms)',
    p99: 'p99 (ms)',
    above: 'p99 is a lower bound',
  },
  legend: [],
  rows: (run) => adapterRows(run, metric),
  label: (run, rows) => label(metric, run, rows),
}));
