/**
 * The spec behind every chart of points joined by lines: one y for each x and series.
 *
 * Rows carry `x`, `y`, `series`, `tip` (text of the tooltip), and where they have it `low` and `high` (between what it lies),
 * `text` (a label at the point), `bounded` ("yes" where the true value is above y) and `doubtful` ("yes" for a run not to be
 * relied on). The view has a signal `focus`, the series to show while the others fade.
 */
import type { LegendEntry, Row, Spec } from './chart.ts';
import { CHART_SIZE, CONFIG } from './theme.ts';

export interface LineOptions {
  /** `values`: where ticks stand, if only some places mean anything. */
  x: { title: string; scale: 'ordinal' | 'log' | 'linear'; values?: number[] };
  y: { title: string | null; ratio?: boolean };
  legend: LegendEntry[];
  /** A line across the chart, such as 1 for "as the base model". */
  reference?: number;
  /** What lies below is within a limit, and shaded. */
  limit?: number;
  rows: Row[];
}

/** Vega's own default turns to exponents where ticks are few; `~r` writes 0.05, 150 and 1,500 as they are. */
export const PLAIN = "format(datum.value, ',~r')";

const finite = (rows: Row[], field: string): number[] =>
  rows.map((row) => row[field]).filter((value): value is number => typeof value === 'number');

/** Where the largest is so many times the smallest, a linear axis would press all but one series onto the floor. */
export const LOG_FROM = 25;

function yScale(options: LineOptions): Record<string, unknown> {
  const values = [...finite(options.rows, 'y'), ...finite(options.rows, 'low'), ...finite(options.rows, 'high')];
  const smallest = Math.min(...values);
  if (options.y.ratio) return { zero: false, nice: true, padding: 8 };
  if (smallest > 0 && Math.max(...values) / smallest > LOG_FROM) return { type: 'log', nice: true };
  return { zero: true, nice: true };
}

export function lineSpec(options: LineOptions): Spec {
  const has = (field: string): boolean => options.rows.some((row) => row[field] !== undefined && row[field] !== null);
  const domain = options.legend.map((entry) => entry.series);
  const scale = yScale(options);
  const x = {
    field: 'x',
    type: options.x.scale === 'ordinal' ? 'ordinal' : 'quantitative',
    sort: null,
    scale:
      options.x.scale === 'ordinal'
        ? { type: 'point', padding: 0.4 }
        : options.x.scale === 'log'
          ? { type: 'log', base: 2, nice: false, padding: 10 }
          : { type: 'linear', domainMin: 0, nice: true },
    axis: {
      title: options.x.title,
      labelAngle: 0,
      ...(options.x.scale === 'ordinal' ? {} : { labelExpr: PLAIN, values: options.x.values }),
    },
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    scale,
    axis: options.y.ratio
      ? { title: null, tickCount: 5, labelExpr: `${PLAIN} + '×'` }
      : { title: options.y.title, tickCount: 5, labelExpr: PLAIN },
  };
  const color = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: options.legend.map((entry) => entry.color) },
    legend: null,
  };
  const shape = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: options.legend.map((entry) => entry.shape) },
    legend: null,
  };
  const opacity = { condition: { test: 'focus === null || focus === datum.series', value: 1 }, value: 0.12 };
  const shared = { x, y, color, opacity };
  const dashed = options.legend.some((entry) => entry.dash);
  const byDash = <T>(plain: T, dash: T) => ({
    field: 'series',
    type: 'nominal',
    scale: { domain, range: options.legend.map((entry) => (entry.dash ? dash : plain)) },
    legend: null,
  });
  const layer: unknown[] = [];
  if (options.limit !== undefined) {
    const once = { transform: [{ aggregate: [{ op: 'count', as: 'points' }] }] };
    const at = { datum: options.limit };
    layer.push(
      {
        ...once,
        mark: { type: 'rect', color: 'var(--good)', opacity: 0.09 },
        encoding: { y: at, y2: { value: 'height' } },
      },
      { ...once, mark: { type: 'rule', color: 'var(--good)', strokeDash: [2, 2] }, encoding: { y: at } },
      {
        ...once,
        mark: {
          type: 'text',
          text: 'SLO',
          align: 'right',
          baseline: 'bottom',
          dy: -3,
          fontSize: 11,
          color: 'var(--good)',
        },
        encoding: { y: at, x: { value: 'width' } },
      },
    );
  }
  if (options.reference !== undefined) {
    layer.push({
      // One row, or the line is drawn once for every point.
      transform: [{ aggregate: [{ op: 'count', as: 'points' }] }],
      mark: { type: 'rule', color: 'var(--ink)', strokeDash: [4, 3], opacity: 0.7 },
      encoding: { y: { datum: options.reference } },
    });
  }
  layer.push({
    mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
    encoding: {
      ...shared,
      ...(has('order') ? { order: { field: 'order', type: 'quantitative' } } : {}),
      ...(dashed ? { strokeDash: byDash([1, 0], [6, 4]) } : {}),
    },
  });
  if (has('low')) {
    layer.push({
      mark: { type: 'rule', strokeWidth: 1.5 },
      encoding: { ...shared, y: { ...y, field: 'low' }, y2: { field: 'high' } },
    });
  }
  layer.push(
    dashed
      ? {
          // Filled where solid, with the card's colour where dashed: a hollow point hides the line beneath it.
          mark: { type: 'point', size: 56, strokeWidth: 1.8 },
          encoding: {
            ...shared,
            fill: {
              ...color,
              scale: { domain, range: options.legend.map((entry) => (entry.dash ? 'var(--card)' : entry.color)) },
            },
            shape,
            tooltip: { field: 'tip' },
          },
        }
      : {
          mark: { type: 'point', filled: true, size: 64, stroke: 'var(--card)', strokeWidth: 1 },
          encoding: { ...shared, shape, tooltip: { field: 'tip' } },
        },
  );
  if (has('doubtful')) {
    layer.push({
      transform: [{ filter: 'datum.doubtful != null' }],
      mark: { type: 'text', fontSize: 15, fontWeight: 'bold', text: '✕', color: 'var(--bad)' },
      encoding: { x, y, opacity },
    });
  }
  if (has('bounded')) {
    layer.push({
      transform: [{ filter: 'datum.bounded != null' }],
      mark: { type: 'text', dy: -11, fontSize: 13, text: '↑' },
      encoding: { x, y, color, opacity },
    });
  }
  if (has('text')) {
    layer.push({
      transform: [{ filter: 'datum.text != null' }],
      mark: { type: 'text', dy: -11, fontSize: 11 },
      encoding: { ...shared, text: { field: 'text' } },
    });
  }
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...CHART_SIZE,
    autosize: { type: 'fit', contains: 'padding' },
    params: [{ name: 'focus', value: null }],
    layer,
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}
