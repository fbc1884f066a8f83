/**
 * From cells to the rows of a line chart, and to the words that stand for the chart. Every number comes by `values.ts`.
 */
import type { CellResult } from '../../result/schema.ts';
import { loadText, type Panel, type Series } from '../panels.ts';
import type { Shown } from '../values.ts';
import { figureText, figureWithUnit } from '../values.ts';
import type { LegendEntry, Row } from './chart.ts';
import { rampColor, seriesColor, shapeOf } from './theme.ts';

export interface Point {
  x: string | number;
  series: string;
  shown: Shown;
  /** What the point stands for, such as "8 adapters, concurrency 4". */
  place: string;
  /** A label drawn at the point. */
  text?: string;
  order?: number;
  /** Where on the x axis it lies, in words; x itself unless given. */
  where?: string;
}

/** Points without a figure, or from runs cut short, are left out of charts. */
export const isDrawable = (point: Point): boolean => point.shown.value !== null && !point.shown.partial;

export function rowOf(point: Point, title: string): Row {
  const { shown } = point;
  return {
    x: point.x,
    y: shown.value,
    series: point.series,
    tip: `${point.place}: ${title} ${figureWithUnit(shown)}`,
    ...(shown.spread === null ? {} : { low: shown.spread.low, high: shown.spread.high, bars: shown.spread.of }),
    ...(shown.doubtful ? { doubtful: 'yes' } : {}),
    ...(shown.above ? { bounded: 'yes' } : {}),
    ...(point.text === undefined ? {} : { text: point.text }),
    ...(point.order === undefined ? {} : { order: point.order }),
  };
}

/** Fields of a point's row that are saved as CSV. */
export const pointColumns = (x: string, y: string, series: string): Record<string, string> => ({
  series,
  x,
  y,
  low: 'from',
  high: 'to',
  bars: 'from and to are of',
  bounded: 'lower bound',
  doubtful: 'doubtful',
});

/** "base: 12.3 at 1, 20.1 at 4; 8 adapters: ..". */
export function inWords(points: readonly Point[]): string {
  const bySeries = new Map<string, string[]>();
  for (const point of points.filter(isDrawable)) {
    bySeries.set(point.series, [
      ...(bySeries.get(point.series) ?? []),
      `${figureText(point.shown)} at ${point.where ?? point.x}`,
    ]);
  }
  return [...bySeries].map(([series, parts]) => `${series}: ${parts.join(', ')}`).join('; ');
}

export const adapterLegend = (panel: Panel): LegendEntry[] =>
  panel.series.map((series) => ({
    series: series.label,
    color: seriesColor(series.color),
    shape: shapeOf(series.color),
    ...(series.arm === 'B' ? { dash: true } : {}),
  }));

/** The name of a line that stands for a load: "concurrency 4", of a comparison "B: concurrency 4". */
export const lineOfLoad = (panel: Panel, { arm }: Pick<Series, 'arm'>, load: number): string =>
  `${arm === null ? '' : `${arm}: `}${loadText(panel.loadKind, load)}`;

export const loadLegend = (panel: Panel): LegendEntry[] => {
  const arms = [...new Set(panel.series.map(({ arm }) => arm))];
  return panel.loads.flatMap((load, i) =>
    arms.map((arm) => ({
      series: lineOfLoad(panel, { arm }, load),
      color: rampColor(i, panel.loads.length),
      shape: shapeOf(i),
      ...(arm === 'B' ? { dash: true } : {}),
    })),
  );
};

export const cellsOf = (panel: Panel): { series: Series; cell: CellResult }[] =>
  panel.series.flatMap((series) => series.cells.map((cell) => ({ series, cell })));

/** Numbers spread over decades go on a logarithm; two or three are just places on the axis. @param numbers rising */
export function axisScale(numbers: readonly number[]): 'ordinal' | 'log' | 'linear' {
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? 0;
  if (numbers.length < 4 || first <= 0) return 'ordinal';
  return last / first > 10 ? 'log' : 'linear';
}
