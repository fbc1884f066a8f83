/**
 * The answer in three or four figures: what the largest number of adapters costs, and where the server breaks.
 *
 * Panels in, cards out: a headline figure with how well it is known, what it is, and the same at every load. One sweep has the cost
 * of adapters, its highest load within the SLO, and what a cold adapter waits; several (ranks, kinds, models) are set beside each
 * other; of two targets B is held against A. With no adapters, or no base model to compare with, the cards are absolute.
 */
import type { CellResult, Result } from '../result/schema.ts';
import { againstA } from './answer-compared.ts';
import { COSTS, costTitle } from './charts/cost.ts';
import { baseCellOf, type Cost, costGroundText, costIntervalText, costOf, costText, showsNoCost } from './costs.ts';
import { METRIC_NAMES, type NamedMetric } from './metric-names.ts';
import { changeText, NONE } from './numbers.ts';
import { adaptersText, isCompared, loadOf, loadText, loadTitle, type Panel, type Series } from './panels.ts';
import { isWithinSlo, sloRule } from './slo.ts';
import { cellFigure, figureText, isComparable, type Stat } from './values.ts';

export interface Card {
  title: string;
  headline: string;
  /** How well it is known, in a few words; empty where that is not known. */
  interval: string;
  /** What the headline is, in a few words. */
  caption: string;
  columns: string[];
  rows: string[][];
}

/** Most rows a card has; a longer sweep is shown at its ends and in its middle, and whole in the table of cells. */
const CARD_ROWS = 5;

function thinned<T>(all: readonly T[]): T[] {
  if (all.length <= CARD_ROWS) return [...all];
  const places = Array.from({ length: CARD_ROWS }, (_, i) => Math.round((i * (all.length - 1)) / (CARD_ROWS - 1)));
  return places.map((place) => all[place]!);
}

/** The largest adapter count, of a comparison on A. */
export function largestSeries(panel: Panel): Series | null {
  return panel.series.filter((series) => series.adapters > 0 && series.arm !== 'B').at(-1) ?? null;
}

const place = (panel: Panel, cell: CellResult): string => loadText(panel.loadKind, loadOf(cell.at));
const loadColumn = (panel: Panel): string => (panel.loadKind === 'concurrency' ? 'at a time' : 'per second');

/** The busiest cell that has a cost, and that. */
function busiestCost(
  panel: Panel,
  series: Series,
  metric: NamedMetric,
  stat: Stat,
): { cell: CellResult; cost: Cost } | null {
  const known = series.cells.map((cell) => ({ cell, cost: costOf(panel, cell, metric, stat) }));
  return known.filter(({ cost }) => cost.ratio !== null).at(-1) ?? null;
}

/** "1.05 to 1.11×: 95 % interval, 4 pairs of runs". */
const intervalOf = (cost: Cost): string =>
  cost.interval === null
    ? 'how sure is not known: too few requests or runs'
    : `${costIntervalText(cost)}: ${costGroundText(cost)}`;

/** A difference that the interval does not show is not claimed. */
const changeOf = (cost: Cost): string =>
  showsNoCost(cost) ? 'no difference that these runs could show' : changeText(cost.ratio!);

function latencyCost(panel: Panel, series: Series, metric: 'tpot' | 'ttft'): Card {
  const busiest = busiestCost(panel, series, metric, 'p50');
  const tail = busiest && costOf(panel, busiest.cell, metric, 'p99');
  const tailText =
    tail?.ratio == null ? '' : `; p99 ${costText(tail)}${tail.interval === null ? '' : ` (${costIntervalText(tail)})`}`;
  return {
    title: `${METRIC_NAMES[metric].short} with ${adaptersText(series.adapters)}`,
    headline: busiest === null ? NONE : costText(busiest.cost),
    interval: busiest === null ? '' : intervalOf(busiest.cost),
    caption:
      busiest === null
        ? (costOf(panel, series.cells[0]!, metric, 'p50').reason ?? 'not measured')
        : `the base model’s p50 at ${place(panel, busiest.cell)} (${changeOf(busiest.cost)})${tailText}`,
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
  const busiest = busiestCost(panel, series, metric, 'value');
  return {
    title: `Throughput with ${adaptersText(series.adapters)}`,
    headline: busiest === null ? NONE : costText(busiest.cost),
    interval: busiest === null ? '' : intervalOf(busiest.cost),
    caption:
      busiest === null
        ? (costOf(panel, series.cells[0]!, metric, 'value').reason ?? 'not measured')
        : `the base model’s tokens per second at ${place(panel, busiest.cell)} (${changeOf(busiest.cost)})`,
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
    interval: '',
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
  const shown = cellFigure(first, metric, 'p50');
  const { spread } = shown;
  const end = (value: number): string => figureText({ ...shown, value, above: false, partial: false, doubtful: false });
  return {
    title: METRIC_NAMES[metric].long,
    headline: figureText(shown),
    interval:
      spread === null
        ? ''
        : `${end(spread.low)} to ${end(spread.high)}: ${spread.of === 'runs' ? `${shown.runs} runs` : '99 % interval within the run'}`,
    caption: `ms, ${METRIC_NAMES[metric].short} p50 of ${series.label} at ${place(panel, first)}`,
    columns: [loadColumn(panel), ...stats.map((stat) => `${stat} ms`)],
    rows: thinned(series.cells).map((cell) => [
      String(loadOf(cell.at)),
      ...stats.map((stat) => figureText(cellFigure(cell, metric, stat))),
    ]),
  };
}

/** How high the load may be so that enough requests are within the SLO; null where the scenario has none. */
function withinSlo(panel: Panel): Card | null {
  const known = panel.series.some(({ cells }) =>
    cells.some((cell) => cellFigure(cell, 'goodput_fraction', 'value').value !== null),
  );
  if (!known) return null;
  const main = largestSeries(panel) ?? panel.series[0]!;
  const highest = highestWithin(main);
  const base = panel.series.find(({ adapters, arm }) => adapters === 0 && arm === main.arm);
  const beside = base === undefined || base === main ? '' : `; the base model: ${limitText(panel, base)}`;
  return {
    title: `Highest load within the SLO${main.adapters === 0 ? '' : `, ${main.label}`}`,
    headline: highest === null ? 'none' : `${highest === main.cells.at(-1) ? '≥ ' : ''}${loadOf(highest.at)}`,
    interval: '',
    caption: `${highest === null ? 'of the loads measured' : loadTitle(panel.loadKind)}: ${sloRule}${beside}`,
    columns: ['adapters', 'highest', 'share', 'goodput/s'],
    rows: thinned(panel.series).map((series) => {
      const cell = highestWithin(series);
      return [
        series.label,
        limitText(panel, series),
        cell === null ? NONE : figureText(cellFigure(cell, 'goodput_fraction', 'value')),
        cell === null ? NONE : figureText(cellFigure(cell, 'goodput', 'value')),
      ];
    }),
  };
}

/** The last load, from the lowest on, at which all are within. */
function highestWithin(series: Series): CellResult | null {
  const breaks = series.cells.findIndex((cell) => !isWithinSlo(cell));
  return series.cells.slice(0, breaks === -1 ? undefined : breaks).at(-1) ?? null;
}

function limitText(panel: Panel, series: Series): string {
  const cell = highestWithin(series);
  if (cell === null) return 'none measured';
  return `${loadOf(cell.at) === panel.loads.at(-1) ? '≥ ' : ''}${loadOf(cell.at)}`;
}

/** What a request waits whose adapter is not on the device; null where none did. */
function coldStart(panel: Panel): Card | null {
  const cells = panel.series
    .flatMap((series) => series.cells.map((cell) => ({ series, cell })))
    .filter(({ cell }) => cellFigure(cell, 'ttft_cold', 'p50').value !== null);
  const last = cells.at(-1);
  if (last === undefined) return null;
  const wait = cellFigure(last.cell, 'adapter_load', 'p50');
  const cold = cellFigure(last.cell, 'ttft_cold', 'p50');
  const warm = cellFigure(last.cell, 'ttft_warm', 'p50');
  const at = `${last.series.label} at ${place(panel, last.cell)}`;
  return {
    title: 'Cold start of an adapter',
    headline: figureText(wait.value === null ? cold : wait),
    interval: '',
    caption:
      wait.value === null
        ? `ms, TTFT p50 of requests whose adapter was not on the device, ${at}`
        : `ms, p50 of the wait for an adapter that is not on the device, ${at}; TTFT p50 ${figureText(cold)} ms cold, ${figureText(warm)} ms warm`,
    columns: ['adapters', 'load', 'cold', 'warm', 'wait'],
    rows: thinned(cells).map(({ series, cell }) => [
      series.label,
      String(loadOf(cell.at)),
      ...(['ttft_cold', 'ttft_warm', 'adapter_load'] as const).map((metric) =>
        figureText(cellFigure(cell, metric, 'p50')),
      ),
    ]),
  };
}

/** Cards of one panel. */
export function cardsOf(panel: Panel): Card[] {
  const largest = largestSeries(panel);
  const comparable = largest?.cells.some((cell) =>
    COSTS.some(({ metric, stat }) => costOf(panel, cell, metric, stat).ratio !== null),
  );
  const series = largest ?? panel.series[0];
  if (series === undefined) return [];
  const [slo, cold] = [withinSlo(panel), coldStart(panel)];
  if (largest === null || !comparable) {
    const rest = [slo, cold].filter((card) => card !== null);
    return [absolute(panel, series, 'ttft'), absolute(panel, series, 'tpot'), bestThroughput(panel), ...rest].slice(
      0,
      4,
    );
  }
  const rest = [slo, cold, throughputCost(panel, largest), bestThroughput(panel)].filter((card) => card !== null);
  return [latencyCost(panel, largest, 'tpot'), latencyCost(panel, largest, 'ttft'), ...rest].slice(0, 4);
}

/** Cards of the whole result: those of its one panel, its panels beside each other, or B against A. */
export function answerOf(result: Result, panels: readonly Panel[]): Card[] {
  const [only] = panels;
  if (only === undefined) return [];
  if (isCompared(result)) return againstA(result, panels);
  if (panels.length === 1) return cardsOf(only);
  const cold = panels.flatMap((panel) => coldStart(panel) ?? []).at(-1);
  const costs = acrossPanels(panels);
  return cold === undefined ? costs : [...costs.slice(0, 3), cold];
}

/** What sets the panels apart is the sweep's own question: the highest cost among them, and each one's. */
function acrossPanels(panels: readonly Panel[]): Card[] {
  const kinds = COSTS.filter(({ metric, stat }) => stat !== 'p99' || metric === 'tpot').map((kind) => {
    const all = panels.flatMap((panel) => {
      const series = largestSeries(panel);
      const busiest = series && busiestCost(panel, series, kind.metric, kind.stat);
      return series === null || busiest === null ? [] : [{ panel, series, ...busiest }];
    });
    return { kind, all };
  });
  return kinds
    .flatMap(({ kind, all }): Card[] => {
      if (all.length === 0) return [];
      // Of a rate the lowest is what costs most.
      const sign = kind.stat === 'value' ? -1 : 1;
      const worst = all.reduce((a, b) => (sign * b.cost.ratio! > sign * a.cost.ratio! ? b : a));
      return [
        {
          title: `${costTitle(kind)}, highest cost`,
          headline: costText(worst.cost),
          interval: intervalOf(worst.cost),
          caption: `${worst.panel.label}, ${worst.series.label} at ${place(worst.panel, worst.cell)}, over the base model (${changeOf(worst.cost)})`,
          columns: ['', 'cost', 'interval'],
          rows: thinned(all).map(({ panel, cost }) => [panel.label, costText(cost), costIntervalText(cost) || NONE]),
        },
      ];
    })
    .slice(0, 4);
}
