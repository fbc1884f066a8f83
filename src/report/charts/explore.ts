/**
 * What a reader may draw for themselves: any figure against any axis that was swept, a line for each value of another.
 *
 * A result and its panels in; the swept dimensions, and every figure of every cell as a point without a place, out. The page's
 * script (../page/explore.js) only places them: no figure is worked out there.
 */
import { METRICS } from '../../metrics/registry.ts';
import type { At } from '../../plan/plan.ts';
import type { CellResult, Result } from '../../result/schema.ts';
import { costOf, costShown } from '../costs.ts';
import {
  adapterCounts,
  adaptersText,
  armOf,
  cellName,
  colorOf,
  loadKindOf,
  loadOf,
  loadText,
  loadTitle,
  type Panel,
  panelWith,
} from '../panels.ts';
import { type SloLimits, sloOf } from '../slo.ts';
import { cellFigure, figureWithUnit, type Shown, STATS, type Stat } from '../values.ts';
import type { LegendEntry, Row, Spec } from './chart.ts';
import { COSTS, costTitle } from './cost.ts';
import { LOG_FROM, lineSpec } from './lines.ts';
import { axisScale, isDrawable, rowOf } from './points.ts';
import { seriesColor, shapeOf } from './theme.ts';

export interface ExploreFigure {
  key: string;
  title: string;
  unit: string;
  group: string;
}

export interface ExploreDimension {
  key: string;
  title: string;
  /** In the order in which they stand on an axis; `color` is the series they have as a line. */
  values: { value: string; text: string; color: number; number: number | null }[];
  /** Cells of the base model alone have none of it, and belong to all its values. */
  adapterOnly: boolean;
  /** Of an axis on which it stands. */
  scale: 'ordinal' | 'log' | 'linear';
}

export interface ExploreData {
  figures: ExploreFigure[];
  dimensions: ExploreDimension[];
  /** Figures that may stand on the x axis, with the dimension that they are joined along. */
  measured: { key: string; title: string; along: string }[];
  cells: ExploreCell[];
  /** The scenario's own limits, which the reader may move. */
  slo: SloLimits | null;
  /** The largest over the smallest figure from which on their axis is a logarithm. */
  logFrom: number;
}

export interface ExploreCell {
  name: string;
  /** What it is, such as "c3: 8 adapters, concurrency 4". */
  place: string;
  /** The value of each dimension; null where it has none. */
  at: Record<string, string | null>;
  isB: boolean;
  /** Points to draw, by the figure's key: rows without x, series and tip, with the figure in `words`. */
  points: Record<string, Row>;
}

const DIMENSIONS: readonly { key: keyof At; title: string; adapterOnly?: true }[] = [
  { key: 'adapters', title: 'adapters' },
  { key: 'rank', title: 'rank', adapterOnly: true },
  { key: 'model', title: 'model' },
  { key: 'weights', title: 'weights' },
  { key: 'kind', title: 'kind of adapter', adapterOnly: true },
  { key: 'modules', title: 'adapted modules', adapterOnly: true },
  { key: 'popularity', title: 'popularity', adapterOnly: true },
  { key: 'base_share', title: 'share of the base', adapterOnly: true },
  { key: 'mode', title: 'mode', adapterOnly: true },
  { key: 'residency', title: 'residency', adapterOnly: true },
  { key: 'control', title: 'output control' },
  { key: 'promptTokens', title: 'tokens in' },
  { key: 'outputTokens', title: 'tokens out' },
  { key: 'arrivals', title: 'arrivals' },
];

/** null for a single cell: a point is no chart. */
export function exploreOf(result: Result, panels: readonly Panel[]): ExploreData | null {
  if (result.cells.length < 2) return null;
  const figures = figuresOf(result);
  const dimensions = dimensionsOf(result);
  if (dimensions.length === 0) return null;
  const cells = result.cells.map((cell) => exploreCell(result, panels, cell, figures, dimensions));
  const known = figures.filter(({ key }) => cells.some(({ points }) => points[key] !== undefined));
  const along = (...keys: string[]): string | undefined =>
    keys.find((key) => dimensions.some((one) => one.key === key));
  const measured = [
    { key: 'output_tokens_per_second value', along: along('load') },
    { key: 'active_adapters value', along: along('adapters', 'load') },
  ].flatMap((one) => {
    const figure = known.find(({ key }) => key === one.key);
    return figure === undefined || one.along === undefined
      ? []
      : [{ key: one.key, title: `${figure.title} (${figure.unit})`, along: one.along }];
  });
  return { figures: known, dimensions, measured, cells, slo: sloOf(result), logFrom: LOG_FROM };
}

/** Colours and shapes by number, not by name: names come from servers, and specs hold none. With a "b", those of target B. */
export const NUMBERED: LegendEntry[] = Array.from({ length: 13 }, (_, i) => [
  { series: String(i), color: seriesColor(i), shape: shapeOf(i) },
  { series: `${i}b`, color: seriesColor(i), shape: shapeOf(i), dash: true },
]).flat();

/** Every part that some choice needs, so that the specs have its layers. */
const EVERY_FIELD: Row = {
  x: 1,
  y: 1,
  series: '0',
  tip: '',
  low: 1,
  high: 1,
  bounded: 'yes',
  order: 1,
  doubtful: 'yes',
};

/** By the scale of x and that of y, as explore.js names them. */
export function exploreSpecs(): Record<string, Spec> {
  const specs: Record<string, Spec> = {};
  for (const x of ['ordinal', 'linear', 'log'] as const) {
    for (const y of ['linear', 'log', 'ratio'] as const) {
      const rows = [EVERY_FIELD, { ...EVERY_FIELD, y: y === 'log' ? 1e9 : 2 }];
      specs[`explore ${x} ${y}`] = lineSpec({
        x: { title: '', scale: x },
        y: { title: null, ratio: y === 'ratio' },
        legend: NUMBERED,
        ...(y === 'ratio' ? { reference: 1 } : {}),
        rows,
      });
    }
  }
  return specs;
}

function figuresOf(result: Result): ExploreFigure[] {
  const withCost = result.cells.some(({ at }) => at.adapters > 0) && result.cells.some(({ at }) => at.adapters === 0);
  const costs = COSTS.map((kind) => ({
    key: `cost ${kind.metric} ${kind.stat}`,
    title: `${costTitle(kind)}, × base`,
    unit: '× base',
    group: 'Cost of adapters',
  }));
  const measured = METRICS.flatMap(({ name, title, unit, shape }) =>
    (shape === 'distribution' ? STATS.filter((stat) => stat !== 'std') : (['value'] as const)).map((stat) => ({
      key: `${name} ${stat}`,
      title: stat === 'value' ? title : `${title}, ${stat === 'p999' ? 'p99.9' : stat}`,
      unit,
      group: shape === 'distribution' ? title : 'One number a run',
    })),
  );
  return [...(withCost ? costs : []), ...measured];
}

function dimensionsOf(result: Result): ExploreDimension[] {
  const own = DIMENSIONS.flatMap(({ key, title, adapterOnly = false }): ExploreDimension[] => {
    const cells = adapterOnly ? result.cells.filter(({ at }) => at.adapters > 0) : result.cells;
    const values = inOrder(cells.map(({ at }) => at[key] ?? null).filter((value) => value !== null));
    if (values.length < 2) return [];
    return [
      {
        key,
        title,
        adapterOnly,
        scale: values.every((value) => typeof value === 'number') ? axisScale(values) : 'ordinal',
        values: values.map((value, i) => ({
          value: String(value),
          text: key === 'adapters' ? adaptersText(Number(value)) : `${title} ${value}`,
          color: key === 'adapters' ? colorOf(result, Number(value)) : i + 1,
          number: typeof value === 'number' ? value : null,
        })),
      },
    ];
  });
  return [...loadDimension(result), ...own];
}

const loadValue = (cell: CellResult): string => loadText(loadKindOf(cell.at), loadOf(cell.at));

function loadDimension(result: Result): ExploreDimension[] {
  const kinds = new Set(result.cells.map(({ at }) => loadKindOf(at)));
  const loads = new Map(result.cells.map((cell) => [loadValue(cell), loadOf(cell.at)]));
  if (loads.size < 2) return [];
  const values = [...loads].sort((a, b) => a[1] - b[1]);
  const title = kinds.size > 1 ? 'load' : loadTitle([...kinds][0]!);
  return [
    {
      key: 'load',
      title,
      adapterOnly: false,
      // Requests at a time and requests a second are no one axis.
      scale: kinds.size > 1 ? 'ordinal' : axisScale(values.map(([, load]) => load)),
      values: values.map(([value, load], i) => ({
        value,
        text: value,
        color: i + 1,
        number: kinds.size > 1 ? null : load,
      })),
    },
  ];
}

function inOrder(all: readonly (string | number)[]): (string | number)[] {
  const distinct = [...new Set(all)];
  return distinct.every((value) => typeof value === 'number') ? distinct.sort((a, b) => a - b) : distinct;
}

function exploreCell(
  result: Result,
  panels: readonly Panel[],
  cell: CellResult,
  figures: readonly ExploreFigure[],
  dimensions: readonly ExploreDimension[],
): ExploreCell {
  const panel = panelWith(panels, cell);
  const counts = adapterCounts(result).length > 1 || cell.at.adapters > 0;
  const place = `${cellName(result, cell)}: ${counts ? `${adaptersText(cell.at.adapters)}, ` : ''}${loadValue(cell)}`;
  const points: Record<string, Row> = {};
  for (const { key, title } of figures) {
    const shown = shownOf(panel, cell, key);
    const point = { x: 0, series: '', shown, place };
    if (shown === null || !isDrawable({ ...point, shown })) continue;
    const { x: _x, series: _series, tip: _tip, ...row } = rowOf({ ...point, shown }, title);
    points[key] = { ...row, words: figureWithUnit(shown) };
  }
  return {
    name: cellName(result, cell),
    place,
    at: Object.fromEntries(
      dimensions.map(({ key }) => {
        const value = key === 'load' ? loadValue(cell) : cell.at[key as keyof At];
        return [key, value === null || value === undefined ? null : String(value)];
      }),
    ),
    isB: armOf(result, cell) === 'B',
    points,
  };
}

function shownOf(panel: Panel | undefined, cell: CellResult, key: string): Shown | null {
  const [first, second, third] = key.split(' ');
  if (first !== 'cost') return cellFigure(cell, first!, second as Stat);
  return panel === undefined ? null : costShown(costOf(panel, cell, second!, third as Stat));
}
