/**
 * The table of all cells: coordinates, what became of the requests, and the figures people ask for first.
 *
 * A result in; columns and rows of text out, for the HTML report. Coordinates that are the same in every cell are left
 * out, since the heading says them once.
 */
import type { At } from '../plan/plan.ts';
import type { CellResult, Result } from '../result/schema.ts';
import { costOf, costShown, costText } from './costs.ts';
import type { NamedMetric } from './metric-names.ts';
import { METRIC_NAMES } from './metric-names.ts';
import { NONE } from './numbers.ts';
import { loadKindOf, loadOf, loadText, type Panel, panelsOf, panelWith, serverOf } from './panels.ts';
import { cellCounts, cellFigure, failuresText, figureText, figureWithUnit, type Stat } from './values.ts';

/** What only adapters have says nothing of the base model, so its cells don't count when asking whether it varies. */
const COORDINATES: readonly { key: keyof At; title: string; adapterOnly?: boolean }[] = [
  { key: 'model', title: 'model' },
  { key: 'weights', title: 'weights' },
  { key: 'kind', title: 'kind', adapterOnly: true },
  { key: 'modules', title: 'modules', adapterOnly: true },
  { key: 'popularity', title: 'popularity', adapterOnly: true },
  { key: 'base_share', title: 'base share', adapterOnly: true },
  { key: 'mode', title: 'mode', adapterOnly: true },
  { key: 'residency', title: 'residency', adapterOnly: true },
  { key: 'control', title: 'control' },
  { key: 'promptTokens', title: 'in' },
  { key: 'outputTokens', title: 'out' },
  { key: 'arrivals', title: 'arrivals' },
];

const LATENCIES: readonly NamedMetric[] = ['ttft', 'itl', 'tpot'];
/** Shown where some adapter was not on the device. */
const COLD: readonly NamedMetric[] = ['ttft_cold', 'ttft_warm', 'adapter_load'];
const PERCENTILES: readonly Stat[] = ['p50', 'p90', 'p99'];

export interface CellRow {
  cell: CellResult;
  coordinates: string[];
  counts: string[];
  /** Groups of figures, as `groups` has them; `title` says range, runs, or why a figure is missing. */
  figures: { text: string; title: string }[][];
  state: string;
}

export interface CellsTable {
  coordinates: string[];
  counts: string[];
  groups: { title: string; unit: string; columns: string[] }[];
  rows: CellRow[];
}

const stateText = (cell: CellResult): string => {
  const states = cell.runs.map((run) => (run.state === 'done' && !run.validity.valid ? 'doubtful' : run.state));
  const distinct = [...new Set(states)];
  if (distinct.length === 0) return 'not run';
  return distinct
    .map((state) => (states.length > 1 ? `${states.filter((s) => s === state).length} ${state}` : state))
    .join(', ');
};

function figureOf(cell: CellResult, metric: NamedMetric, stat: Stat): { text: string; title: string } {
  const shown = cellFigure(cell, metric, stat);
  return {
    text: figureText(shown),
    title: `${METRIC_NAMES[metric].short} ${stat === 'value' ? '' : `${stat} `}${figureWithUnit(shown)}`,
  };
}

/** What a cell costs beside the base model; nothing for the base model itself. */
function costCell(panels: readonly Panel[], cell: CellResult): { text: string; title: string } {
  const panel = panelWith(panels, cell);
  if (panel === undefined || cell.at.adapters === 0) return { text: NONE, title: 'the base model itself' };
  const cost = costOf(panel, cell, 'tpot', 'p50');
  return { text: costText(cost), title: `TPOT p50 ${figureWithUnit(costShown(cost))}` };
}

/** Some request came for an adapter that was not on the device. */
export const hasCold = ({ cells }: Pick<Result, 'cells'>): boolean =>
  cells.some((cell) => cellFigure(cell, 'ttft_cold', 'p50').value !== null);

export function cellsTable(result: Result): CellsTable {
  const withAdapters = result.cells.filter((cell) => cell.at.adapters > 0);
  const varying = COORDINATES.filter(({ key, adapterOnly }) => {
    const cells = adapterOnly ? withAdapters : result.cells;
    return new Set(cells.map((cell) => cell.at[key])).size > 1;
  });
  const severalTargets = new Set(result.cells.map((cell) => serverOf(result, cell))).size > 1;
  const latencies = [...LATENCIES, ...(hasCold(result) ? COLD : [])];
  const withGoodput = result.cells.some((cell) => cellFigure(cell, 'goodput', 'value').value !== null);
  const panels = panelsOf(result);
  const withCost = result.cells.some((cell) => costCell(panels, cell).text !== NONE);
  const single: NamedMetric[] = ['output_tokens_per_second', ...(withGoodput ? (['goodput'] as const) : [])];
  return {
    coordinates: [
      ...(severalTargets ? ['target'] : []),
      ...varying.map(({ title }) => title),
      'rank',
      'adapters',
      'load',
    ],
    counts: ['requests', 'failed'],
    groups: [
      ...latencies.map((metric) => ({
        title: METRIC_NAMES[metric].short,
        unit: 'ms',
        columns: PERCENTILES.map(String),
      })),
      { title: 'throughput', unit: 'tok/s', columns: ['mean'] },
      ...(withGoodput ? [{ title: 'goodput', unit: 'requests/s', columns: ['mean'] }] : []),
      ...(withCost ? [{ title: 'cost', unit: '× base', columns: ['TPOT p50'] }] : []),
    ],
    rows: result.cells.map((cell) => {
      const counts = cellCounts(cell);
      return {
        cell,
        coordinates: [
          ...(severalTargets ? [serverOf(result, cell)] : []),
          ...varying.map(({ key, adapterOnly }) =>
            adapterOnly && cell.at.adapters === 0 ? NONE : String(cell.at[key] ?? NONE),
          ),
          rankText(cell),
          cell.at.adapters === 0 ? 'base' : String(cell.at.adapters),
          loadText(loadKindOf(cell.at), loadOf(cell.at)).replace('concurrency ', '× '),
        ],
        counts: [String(counts.issued), failuresText(counts)],
        figures: [
          ...latencies.map((metric) => PERCENTILES.map((stat) => figureOf(cell, metric, stat))),
          ...single.map((metric) => [figureOf(cell, metric, 'value')]),
          ...(withCost ? [[costCell(panels, cell)]] : []),
        ],
        state: stateText(cell),
      };
    }),
  };
}

/** "16", "16 (as 2)" where a stand-in scales it, "–" for the base model. */
export function rankText(cell: CellResult): string {
  if (cell.at.adapters === 0 || cell.at.rank === null) return '–';
  const served = cell.servedRanks?.join(', ');
  return served === undefined || served === String(cell.at.rank)
    ? String(cell.at.rank)
    : `${cell.at.rank} (as ${served})`;
}
