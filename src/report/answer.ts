/**
 * The answer in three or four figures: what the largest number of adapters costs, and how much the server can do.
 *
 * A panel in, cards out: a headline figure, what it is, and the same at every load. With no adapters, or no base model
 * to compare with, the cards are absolute.
 */

import type { CellResult } from '../result/schema.ts';
import { COSTS } from './charts/cost.ts';
import { baseCellOf, costOf, costText } from './costs.ts';
import { METRIC_NAMES, type NamedMetric } from './metric-names.ts';
import { changeText, NONE } from './numbers.ts';
import { adaptersText, loadOf, loadText, type Panel, type Series } from './panels.ts';
import { cellFigure, figureText, isComparable, type Stat } from './values.ts';

export interface Card {
  title: string;
  headline: string;
  /** What the headline is, in a few words. */
  caption: string;
  columns: string[];
  rows: string[][];
}

/** Most loads a card lists; a longer sweep is shown at its ends and in its middle, and whole in the table of cells. */
const CARD_LOADS = 5;

function thinned<T>(all: readonly T[]): T[] {
  if (all.length <= CARD_LOADS) return [...all];
  const places = Array.from({ length: CARD_LOADS }, (_, i) => Math.round((i * (all.length - 1)) / (CARD_LOADS - 1)));
  return places.map((place) => all[place]!);
}

/** The largest adapter count that has a base model to compare with, else the largest at all. */
export function largestSeries(panel: Panel): Series | null {
  return panel.series.filter((series) => series.adapters > 0).at(-1) ?? null;
}

const place = (panel: Panel, cell: CellResult): string => loadText(panel.loadKind, loadOf(cell.at));
const loadColumn = (panel: Panel): string => (panel.loadKind === 'concurrency' ? 'at a time' : 'per second');

function latencyCost(panel: Panel, series: Series, metric: 'tpot' | 'ttft'): Card {
  const name = METRIC_NAMES[metric];
  const known = series.cells.filter((cell) => costOf(panel, cell, metric, 'p50').ratio !== null);
  const busiest = known.at(-1);
  const cost = busiest && costOf(panel, busiest, metric, 'p50');
  const tail = busiest && costOf(panel, busiest, metric, 'p99');
  return {
    title: `${name.short} with ${adaptersText(series.adapters)}`,
    headline: cost === undefined ? NONE : costText(cost),
    caption:
      cost?.ratio == null || busiest === undefined
        ? (costOf(panel, series.cells[0]!, metric, 'p50').reason ?? 'not measured')
        : `the base model’s p50 at ${place(panel, busiest)} (${changeText(cost.ratio)})${tail?.ratio == null ? '' : `; p99 ${costText(tail)}`}`,
    columns: [loadColumn(panel), 'p50', 'p99', 'p50 ms'],
    rows: thinned(series.cells).map((cell) => [
      String(loadOf(cell.at)),
      costText(costOf(panel, cell, metric, 'p50')),
      costText(costOf(panel, cell, metric, 'p99')),
      figureText(cellFigure(cell, metric, 'p50')),
    ]),
  };
}

function throughputCost(panel: Panel, series: Series): Card {
  const metric = 'output_tokens_per_second';
  const known = series.cells.filter((cell) => costOf(panel, cell, metric, 'value').ratio !== null);
  const busiest = known.at(-1);
  const cost = busiest && costOf(panel, busiest, metric, 'value');
  return {
    title: `Throughput with ${adaptersText(series.adapters)}`,
    headline: cost === undefined ? NONE : costText(cost),
    caption:
      cost?.ratio == null || busiest === undefined
        ? (costOf(panel, series.cells[0]!, metric, 'value').reason ?? 'not measured')
        : `the base model’s tokens per second at ${place(panel, busiest)} (${changeText(cost.ratio)})`,
    columns: [loadColumn(panel), 'ratio', 'tok/s', 'base tok/s'],
    rows: thinned(series.cells).map((cell) => {
      const base = baseCellOf(panel, cell);
      return [
        String(loadOf(cell.at)),
        costText(costOf(panel, cell, metric, 'value')),
        figureText(cellFigure(cell, metric, 'value')),
        base === undefined ? NONE : figureText(cellFigure(base, metric, 'value')),
      ];
    }),
  };
}

/** The cell with the highest figure of a metric that has one number a run; null when none has any. */
export function bestCell(
  panel: Panel,
  metric: NamedMetric,
  among = panel.series,
): { series: Series; cell: CellResult } | null {
  let best: { series: Series; cell: CellResult; value: number } | null = null;
  for (const series of among) {
    for (const cell of series.cells.filter(isComparable)) {
      const { value } = cellFigure(cell, metric, 'value');
      if (value !== null && (best === null || value > best.value)) best = { series, cell, value };
    }
  }
  return best;
}

function bestThroughput(panel: Panel): Card {
  const metric = 'output_tokens_per_second';
  const best = bestCell(panel, metric);
  return {
    title: 'Best throughput',
    headline: best === null ? NONE : figureText(cellFigure(best.cell, metric, 'value')),
    caption:
      best === null ? 'not measured' : `output tokens per second, ${best.series.label} at ${place(panel, best.cell)}`,
    columns: ['adapters', 'best', loadColumn(panel)],
    rows: thinned(panel.series).map((series) => {
      const own = bestCell(panel, metric, [series]);
      return [
        series.label,
        own === null ? NONE : figureText(cellFigure(own.cell, metric, 'value')),
        own === null ? NONE : String(loadOf(own.cell.at)),
      ];
    }),
  };
}

function absolute(panel: Panel, series: Series, metric: 'tpot' | 'ttft'): Card {
  const stats: Stat[] = ['p50', 'p90', 'p99'];
  const first = series.cells[0]!;
  return {
    title: METRIC_NAMES[metric].long,
    headline: figureText(cellFigure(first, metric, 'p50')),
    caption: `ms, ${METRIC_NAMES[metric].short} p50 of ${series.label} at ${place(panel, first)}`,
    columns: [loadColumn(panel), ...stats.map((stat) => `${stat} ms`)],
    rows: thinned(series.cells).map((cell) => [
      String(loadOf(cell.at)),
      ...stats.map((stat) => figureText(cellFigure(cell, metric, stat))),
    ]),
  };
}

function goodput(panel: Panel): Card | null {
  const best = bestCell(panel, 'goodput');
  if (best === null) return null;
  return {
    title: 'Goodput',
    headline: figureText(cellFigure(best.cell, 'goodput', 'value')),
    caption: `requests per second within every SLO, ${best.series.label} at ${place(panel, best.cell)}`,
    columns: ['adapters', 'best', loadColumn(panel)],
    rows: thinned(panel.series).map((series) => {
      const own = bestCell(panel, 'goodput', [series]);
      return [
        series.label,
        own === null ? NONE : figureText(cellFigure(own.cell, 'goodput', 'value')),
        own === null ? NONE : String(loadOf(own.cell.at)),
      ];
    }),
  };
}

export function cardsOf(panel: Panel): Card[] {
  const largest = largestSeries(panel);
  const comparable = largest?.cells.some((cell) =>
    COSTS.some(({ metric, stat }) => costOf(panel, cell, metric, stat).ratio !== null),
  );
  const series = largest ?? panel.series[0];
  if (series === undefined) return [];
  const extra = goodput(panel);
  if (largest === null || !comparable) {
    const cards = [absolute(panel, series, 'ttft'), absolute(panel, series, 'tpot'), bestThroughput(panel)];
    return extra === null ? cards : [...cards, extra];
  }
  return [
    latencyCost(panel, largest, 'tpot'),
    latencyCost(panel, largest, 'ttft'),
    throughputCost(panel, largest),
    // Who set an SLO wants to know how much the server does within it.
    extra ?? bestThroughput(panel),
  ];
}
