/**
 * Throughput against latency: where more load stops buying tokens and only costs time. One line for each adapter count,
 * drawn through rising load.
 */
import { METRIC_NAMES } from '../metric-names.ts';
import { figure } from '../numbers.ts';
import { loadOf, loadText, type Panel } from '../panels.ts';
import type { SloLimits } from '../slo.ts';
import { cellFigure, figureText } from '../values.ts';
import type { Chart, ChartGroup } from './chart.ts';
import { lineSpec } from './lines.ts';
import { adapterLegend, cellsOf, inWords, isDrawable, type Point, pointColumns, rowOf } from './points.ts';

const LATENCIES = [
  { metric: 'tpot', stat: 'p50' },
  { metric: 'ttft', stat: 'p50' },
  { metric: 'e2e', stat: 'p99' },
] as const;

/** A limit so far above every point would press them onto the floor; all of them are within it. */
const FAR = 1.5;

function chartOf(panel: Panel, slo: SloLimits | null, { metric, stat }: (typeof LATENCIES)[number]): Chart | null {
  const title = `${METRIC_NAMES[metric].short} ${stat}`;
  const points = cellsOf(panel).flatMap(({ series, cell }): Point[] => {
    const throughput = cellFigure(cell, 'output_tokens_per_second', 'value');
    if (throughput.value === null || throughput.partial) return [];
    const load = loadOf(cell.at);
    return [
      {
        x: throughput.value,
        series: series.label,
        shown: cellFigure(cell, metric, stat),
        place: `${series.label}, ${loadText(panel.loadKind, load)}, ${figureText(throughput)} tok/s`,
        order: load,
        where: `${figureText(throughput)} tok/s`,
        // Loads are the same for all lines; naming them on one keeps the labels apart.
        ...(series === panel.series[0] ? { text: String(load) } : {}),
      },
    ];
  });
  const rows = points.filter(isDrawable).map((point) => rowOf(point, title));
  if (rows.length === 0) return null;
  const limit = slo?.[metric] ?? null;
  const isFar = limit !== null && limit > FAR * Math.max(...rows.map(({ y }) => Number(y)));
  const within = limit === null ? '' : `; SLO ${figure(limit)} ms${isFar ? ', above all of these' : ''}`;
  return {
    title: `${title} against throughput`,
    unit: `ms${within}; numbers are ${panel.loadKind === 'concurrency' ? 'concurrency' : 'requests per second'}`,
    spec: lineSpec({
      x: { title: 'output tokens per second', scale: 'linear' },
      y: { title: 'ms' },
      legend: adapterLegend(panel),
      ...(limit === null || isFar ? {} : { limit }),
      rows,
    }),
    rows,
    columns: pointColumns('output tokens per second', `${title} (ms)`, 'adapters'),
    label: `${title} in milliseconds against output tokens per second, through rising load${within}. ${inWords(points)}.`,
  };
}

/** null for a single cell, which is a point and no trade-off. */
export function tradeOffGroup(panel: Panel, slo: SloLimits | null): ChartGroup | null {
  if (cellsOf(panel).length < 2) return null;
  const charts = LATENCIES.map((latency) => chartOf(panel, slo, latency)).filter((chart) => chart !== null);
  if (charts.length === 0) return null;
  return {
    title: 'Throughput against latency',
    lead: `Down and to the right is better. A line that turns upward is a server that takes more load but gives no more tokens.${slo === null ? '' : ' What is shaded is within the scenario’s limit on that figure.'}`,
    legend: adapterLegend(panel),
    charts,
    table: {
      columns: [
        'adapters',
        'load',
        'tok/s',
        ...LATENCIES.map(({ metric, stat }) => `${METRIC_NAMES[metric].short} ${stat} (ms)`),
      ],
      rows: cellsOf(panel).map(({ series, cell }) => [
        series.label,
        loadText(panel.loadKind, loadOf(cell.at)),
        figureText(cellFigure(cell, 'output_tokens_per_second', 'value')),
        ...LATENCIES.map(({ metric, stat }) => figureText(cellFigure(cell, metric, stat))),
      ]),
    },
  };
}
