/**
 * One run up close: what happened second by second, adapter by adapter, and where the slowest requests spent their time.
 *
 * A result and its panels in. Out: for every run the rows of each chart, of which the page draws those of the run that its reader picks,
 * and the charts of one run, the busiest with the most adapters, that stand in the page without a script.
 */
import type { CellResult, Result, RunResult } from '../../result/schema.ts';
import { plural } from '../numbers.ts';
import { adaptersText, cellKey, cellName, loadKindOf, loadOf, loadText } from '../panels.ts';
import { ADAPTER_CHARTS } from './adapters.ts';
import type { Chart, LegendEntry, Row, Spec } from './chart.ts';
import { TIMELINE_CHARTS } from './timeline.ts';
import { WATERFALL_CHARTS } from './waterfall.ts';

/** A chart that every run may have. */
export interface RunChart {
  key: string;
  title: string;
  unit: string;
  spec: Spec;
  columns: Record<string, string>;
  legend: LegendEntry[];
  /** Empty where the run has none of it. */
  rows: (run: RunResult) => Row[];
  /** In words. */
  label: (run: RunResult, rows: readonly Row[]) => string;
}

export const RUN_CHARTS: readonly RunChart[] = [...TIMELINE_CHARTS, ...ADAPTER_CHARTS, ...WATERFALL_CHARTS];

export interface CloseUpRun {
  name: string;
  rows: Record<string, Row[]>;
  labels: Record<string, string>;
}

export interface CloseUpCell {
  key: string;
  name: string;
  runs: CloseUpRun[];
}

export interface CloseUpData {
  cells: CloseUpCell[];
  /** Of the run that is shown at first. */
  shown: { cell: string; run: number };
  charts: { key: string; title: string; columns: Record<string, string> }[];
}

export interface CloseUp {
  data: CloseUpData;
  /** Those of the run that is shown at first, by the key of their chart. */
  charts: { of: RunChart; chart: Chart }[];
  place: string;
}

const nameOf = (result: Result, cell: CellResult): string =>
  `${cellName(result, cell)}: ${adaptersText(cell.at.adapters)}${cell.at.adapters > 0 && cell.at.rank !== null ? ` of rank ${cell.at.rank}` : ''}, ${loadText(loadKindOf(cell.at), loadOf(cell.at))}`;

/** null where no run was made. */
export function closeUpOf(result: Result): CloseUp | null {
  const measured = result.cells.filter(({ runs }) => runs.length > 0);
  // The run that says most: the most adapters at the highest load.
  const main = measured.reduce<CellResult | null>(
    (best, cell) =>
      best === null ||
      cell.at.adapters > best.at.adapters ||
      (cell.at.adapters === best.at.adapters && loadOf(cell.at) >= loadOf(best.at))
        ? cell
        : best,
    null,
  );
  if (main === null) return null;
  const run = main.runs.findIndex(({ state }) => state === 'done');
  const shown = { cell: cellKey(result, main), run: Math.max(0, run) };
  const cells = measured.map((cell) => ({
    key: cellKey(result, cell),
    name: nameOf(result, cell),
    runs: cell.runs.map((one, i) => closeUpRun(cell, one, i)),
  }));
  const first = main.runs[shown.run]!;
  return {
    data: { cells, shown, charts: RUN_CHARTS.map(({ key, title, columns }) => ({ key, title, columns })) },
    charts: RUN_CHARTS.map((of) => ({ of, chart: chartOf(of, first) })),
    place: nameOf(result, main),
  };
}

function chartOf(of: RunChart, run: RunResult): Chart {
  const rows = of.rows(run);
  const { title, unit, spec, columns } = of;
  return { title, unit, spec, rows, columns, label: of.label(run, rows) };
}

function closeUpRun(cell: CellResult, run: RunResult, i: number): CloseUpRun {
  const rows = RUN_CHARTS.map((chart) => [chart, chart.rows(run)] as const);
  const failed = run.counts.failed === 0 ? '' : `, ${run.counts.failed} failed`;
  const state = run.state === 'done' ? '' : `, ${run.state}`;
  return {
    name: `run ${i + 1} of ${cell.runs.length} (${plural(run.counts.issued, 'request')}${failed}${state})`,
    rows: Object.fromEntries(rows.map(([{ key }, all]) => [key, all])),
    labels: Object.fromEntries(rows.map(([chart, all]) => [chart.key, chart.label(run, all)])),
  };
}

export const closeUpSpecs = (): Record<string, Spec> =>
  Object.fromEntries(RUN_CHARTS.map(({ key, spec }) => [`close-up ${key}`, spec]));
