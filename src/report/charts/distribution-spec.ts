/**
 * The spec behind charts of distributions: lines of shares over values. Rows carry `x` (a value), `y` (a share of 1), `series`, and for
 * the page `tip`. The view has a signal `focus`, the series to show while the others fade.
 *
 *   cdf        share within a value
 *   tail       share beyond a value, on a logarithm, where p99.9 is as far from p99 as this from p90
 *   histogram  share in each bin, as steps
 */
import type { LegendEntry, Spec } from './chart.ts';
import { PLAIN } from './lines.ts';
import { CHART_SIZE, CONFIG } from './theme.ts';

export type DistributionForm = 'cdf' | 'tail' | 'histogram';

export interface DistributionOptions {
  form: DistributionForm;
  scale: 'linear' | 'log';
  xTitle: string;
  legend: readonly LegendEntry[];
  /** Points to be pointed at; a static drawing has none. */
  tips: boolean;
}

const Y: Record<DistributionForm, unknown> = {
  cdf: { scale: { domain: [0, 1] }, axis: { title: null, format: '.0%', tickCount: 5 } },
  tail: {
    scale: { type: 'log', domain: [0.0001, 1] },
    axis: { title: null, format: '~%', values: [1, 0.1, 0.01, 0.001, 0.0001] },
  },
  histogram: { scale: { zero: true, nice: true }, axis: { title: null, format: '~%', tickCount: 4 } },
};

export function distributionSpec({ form, scale, xTitle, legend, tips }: DistributionOptions): Spec {
  const domain = legend.map(({ series }) => series);
  const dashed = legend.some(({ dash }) => dash);
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: scale === 'log' ? { type: 'log', nice: false } : { zero: false, nice: true },
    axis: { title: xTitle, labelExpr: PLAIN, tickCount: 6 },
  };
  const y = { field: 'y', type: 'quantitative', ...(Y[form] as object) };
  const color = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: legend.map((entry) => entry.color) },
    legend: null,
  };
  const opacity = { condition: { test: 'focus === null || focus === datum.series', value: 1 }, value: 0.12 };
  const dash = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: legend.map((entry) => (entry.dash ? [6, 4] : [1, 0])) },
    legend: null,
  };
  const encoding = { x, y, color, opacity };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...CHART_SIZE,
    autosize: { type: 'fit', contains: 'padding' },
    params: [{ name: 'focus', value: null }],
    layer: [
      {
        mark: { type: 'line', strokeWidth: 1.8, strokeJoin: 'round', interpolate: 'step-after', clip: true },
        encoding: {
          ...encoding,
          order: { field: 'x', type: 'quantitative' },
          ...(dashed ? { strokeDash: dash } : {}),
        },
      },
      ...(tips
        ? [
            {
              transform: [{ filter: 'datum.tip != null' }],
              mark: { type: 'point', filled: true, size: 90, opacity: 0 },
              encoding: { x, y, color, tooltip: { field: 'tip' } },
            },
          ]
        : []),
    ],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}
