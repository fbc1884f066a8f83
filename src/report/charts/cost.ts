/**
 * What adapters cost: TPOT, TTFT and throughput relative to the base model alone at the same load.
 *
 * The first charts have the declared adapter count on the x axis. The last has the number of distinct adapters really
 * in flight, because a server cannot pay for adapters that its load never touches at once.
 */
import { costOf, costShown, costText } from '../costs.ts';
import { METRIC_NAMES } from '../metric-names.ts';
import { figure, listText } from '../numbers.ts';
import { loadOf, loadText, type Panel } from '../panels.ts';
import { cellFigure, figureText, type Stat } from '../values.ts';
import type { Chart, ChartGroup } from './chart.ts';
import { lineSpec } from './lines.ts';
import { cellsOf, inWords, isDrawable, lineOfLoad, loadLegend, type Point, pointColumns, rowOf } from './points.ts';

export const COSTS = [
  { metric: 'tpot', stat: 'p50' },
  { metric: 'tpot', stat: 'p99' },
  { metric: 'ttft', stat: 'p50' },
  { metric: 'ttft', stat: 'p99' },
  { metric: 'output_tokens_per_second', stat: 'value' },
] as const satisfies readonly { metric: keyof typeof METRIC_NAMES; stat: Stat }[];

type CostKind = (typeof COSTS)[number];

export const costTitle = ({ metric, stat }: CostKind): string =>
  stat === 'value' ? METRIC_NAMES[metric].long : `${METRIC_NAMES[metric].short} ${stat}`;

function pointsOf(panel: Panel, kind: CostKind): Point[] {
  return cellsOf(panel).map(({ series, cell }) => ({
    x: series.adapters,
    series: lineOfLoad(panel, series, loadOf(cell.at)),
    shown: costShown(costOf(panel, cell, kind.metric, kind.stat)),
    place: `${series.label}, ${loadText(panel.loadKind, loadOf(cell.at))}`,
  }));
}

function byCount(panel: Panel, kind: CostKind): Chart | null {
  const points = pointsOf(panel, kind);
  const rows = points.filter(isDrawable).map((point) => rowOf(point, costTitle(kind)));
  if (rows.length === 0) return null;
  return {
    title: costTitle(kind),
    unit: kind.stat === 'value' ? '× base, higher is better' : '× base, lower is better',
    spec: lineSpec({
      x: { title: 'adapters', scale: 'ordinal' },
      y: { title: null, ratio: true },
      legend: loadLegend(panel),
      reference: 1,
      rows,
    }),
    rows,
    columns: pointColumns('adapters', `${costTitle(kind)} (× base)`, 'load'),
    label: `${costTitle(kind)} relative to the base model, against adapter count. ${inWords(points)}.`,
  };
}

function byActive(panel: Panel): Chart | null {
  const kind = COSTS[0];
  const points = cellsOf(panel).flatMap(({ series, cell }, i): Point[] => {
    const active = cellFigure(cell, 'active_adapters', 'value').value;
    const point = pointsOf(panel, kind)[i];
    if (active === null || point === undefined) return [];
    // At low load every count lies on the same few places, so only the highest load's points are named.
    const named = loadOf(cell.at) === panel.loads.at(-1) ? { text: String(series.adapters) } : {};
    return [{ ...point, x: active, order: series.adapters, where: `${figure(active)} in flight`, ...named }];
  });
  const rows = points.filter(isDrawable).map((point) => rowOf(point, costTitle(kind)));
  if (rows.length === 0) return null;
  return {
    title: `${costTitle(kind)} by adapters in flight`,
    unit: '× base; numbers are adapter counts',
    spec: lineSpec({
      x: { title: 'distinct adapters in flight, mean', scale: 'linear' },
      y: { title: null, ratio: true },
      legend: loadLegend(panel),
      reference: 1,
      rows,
    }),
    rows,
    columns: pointColumns('distinct adapters in flight, mean', `${costTitle(kind)} (× base)`, 'load'),
    label: `${costTitle(kind)} relative to the base model, against the mean number of distinct adapters in flight. ${inWords(points)}.`,
  };
}

/** null where there is nothing to compare: no adapters, or no base model at the same load. */
export function costGroup(panel: Panel): ChartGroup | null {
  if (!panel.series.some((series) => series.adapters > 0)) return null;
  const drawn = [...COSTS.map((kind) => byCount(panel, kind)), byActive(panel)].filter((chart) => chart !== null);
  if (drawn.length === 0) return null;
  const counts = [...new Set(panel.series.map(({ adapters }) => adapters).filter((adapters) => adapters > 0))];
  return {
    title: 'What adapters cost',
    lead: `Each point is a cell with ${listText(counts)} ${counts.length === 1 && counts[0] === 1 ? 'adapter' : 'adapters'}, divided by the base model alone at the same load. The dashed line is the base model: 1.00×.`,
    legend: loadLegend(panel),
    charts: drawn,
    table: {
      columns: ['adapters', 'load', 'in flight', ...COSTS.map((kind) => `${costTitle(kind)} (× base)`)],
      rows: cellsOf(panel).map(({ series, cell }) => [
        series.label,
        loadText(panel.loadKind, loadOf(cell.at)),
        figureText(cellFigure(cell, 'active_adapters', 'value')),
        ...COSTS.map((kind) => costText(costOf(panel, cell, kind.metric, kind.stat))),
      ]),
    },
  };
}
