/**
 * Latency against load: p50, p90 and p99 of TTFT, ITL and TPOT, one line for each adapter count. One group a metric; where
 * adapters were loaded while requests waited, also TTFT cold and warm, and that wait.
 *
 * Where there is only one load, adapter counts take its place on the x axis; a single cell needs no chart of one point.
 */
import { hasCold } from '../cells-table.ts';
import { METRIC_NAMES } from '../metric-names.ts';
import { loadOf, loadText, loadTitle, type Panel } from '../panels.ts';
import { cellFigure, figureText } from '../values.ts';
import type { Chart, ChartGroup, LegendEntry } from './chart.ts';
import { type LineOptions, lineSpec } from './lines.ts';
import {
  adapterLegend,
  axisScale,
  cellsOf,
  inWords,
  isDrawable,
  lineOfLoad,
  loadLegend,
  type Point,
  pointColumns,
  rowOf,
} from './points.ts';

const METRICS = ['ttft', 'ttft_cold', 'ttft_warm', 'adapter_load', 'itl', 'tpot'] as const;
/** Without a cold request they say nothing that TTFT does not. */
const ONLY_WITH_COLD: readonly Metric[] = ['ttft_cold', 'ttft_warm', 'adapter_load'];
const PERCENTILES = ['p50', 'p90', 'p99'] as const;

type Metric = (typeof METRICS)[number];

const LEADS: Record<Metric, string> = {
  ttft: 'From sending a request to its first token.',
  ttft_cold: 'Requests that came for an adapter in host memory or in its file.',
  ttft_warm: 'Requests that came for an adapter on the device, beside cold ones.',
  adapter_load: 'How long cold requests were held up because their adapter was not on the device.',
  itl: 'Gaps between tokens as they arrive, over all requests.',
  tpot: 'Time per output token after the first, one figure a request.',
};

interface Axis {
  x: LineOptions['x'];
  /** What each line is one of. */
  lines: string;
  legend: LegendEntry[];
  place: (series: Panel['series'][number], load: number) => { x: number; series: string };
}

function axisOf(panel: Panel): Axis {
  if (panel.loads.length === 1) {
    return {
      x: { title: 'adapters', scale: 'ordinal' },
      lines: 'load',
      legend: loadLegend(panel),
      place: (series, load) => ({ x: series.adapters, series: lineOfLoad(panel, series, load) }),
    };
  }
  return {
    x: { title: loadTitle(panel.loadKind), scale: axisScale(panel.loads), values: panel.loads },
    lines: 'adapters',
    legend: adapterLegend(panel),
    place: (series, load) => ({ x: load, series: series.label }),
  };
}

function chartOf(panel: Panel, axis: Axis, metric: Metric, stat: (typeof PERCENTILES)[number]): Chart | null {
  const title = `${METRIC_NAMES[metric].short} ${stat}`;
  const points: Point[] = cellsOf(panel).map(({ series, cell }) => ({
    ...axis.place(series, loadOf(cell.at)),
    shown: cellFigure(cell, metric, stat),
    place: `${series.label}, ${loadText(panel.loadKind, loadOf(cell.at))}`,
  }));
  const rows = points.filter(isDrawable).map((point) => rowOf(point, title));
  if (rows.length === 0) return null;
  return {
    title,
    unit: 'ms',
    spec: lineSpec({ x: axis.x, y: { title: 'ms' }, legend: axis.legend, rows }),
    rows,
    columns: pointColumns(axis.x.title, `${title} (ms)`, axis.lines),
    label: `${title} in milliseconds against ${axis.x.title}. ${inWords(points)}.`,
  };
}

export function percentileGroups(panel: Panel): ChartGroup[] {
  if (cellsOf(panel).length < 2) return [];
  const axis = axisOf(panel);
  const cold = hasCold({ cells: cellsOf(panel).map(({ cell }) => cell) });
  return METRICS.flatMap((metric) => {
    if (!cold && ONLY_WITH_COLD.includes(metric)) return [];
    const charts = PERCENTILES.map((stat) => chartOf(panel, axis, metric, stat)).filter((chart) => chart !== null);
    if (charts.length === 0) return [];
    const name = METRIC_NAMES[metric];
    return [
      {
        title: `${name.long} (${name.short})`,
        lead: LEADS[metric],
        legend: axis.legend,
        charts,
        table: {
          columns: ['adapters', loadTitle(panel.loadKind), ...PERCENTILES.map((stat) => `${name.short} ${stat} (ms)`)],
          rows: cellsOf(panel).map(({ series, cell }) => [
            series.label,
            String(loadOf(cell.at)),
            ...PERCENTILES.map((stat) => figureText(cellFigure(cell, metric, stat))),
          ]),
        },
      },
    ];
  });
}
