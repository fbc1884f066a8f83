/**
 * The outcome of a run for programs: one JSON document, its figures by the same path as the table and the report.
 *
 * A result and how it ended in, a plain object out. result.json has every number; this has what a script asks first.
 */
import type { BenchError, ExitCode } from '../errors.ts';
import type { CellResult, Result } from '../result/schema.ts';
import { COSTS } from './charts/cost.ts';
import { costOf } from './costs.ts';
import { type Panel, panelsOf, panelWith, serverOf } from './panels.ts';
import { trustOf } from './trust.ts';
import { cellCounts, cellFigure, type Shown, type Stat } from './values.ts';

const FIGURES: readonly [metric: string, stat: Stat][] = [
  ...(['ttft', 'itl', 'tpot', 'e2e'] as const).flatMap((metric) =>
    (['p50', 'p90', 'p99'] as const).map((stat): [string, Stat] => [metric, stat]),
  ),
  ...['output_tokens_per_second', 'goodput', 'goodput_fraction', 'error_rate', 'active_adapters'].map(
    (metric): [string, Stat] => [metric, 'value'],
  ),
];

export interface Ended {
  exitCode: ExitCode;
  folder: string;
  /** null where it could not be written. */
  report: string | null;
  failures: readonly BenchError[];
}

export function summaryJson(result: Result, { exitCode, folder, report, failures }: Ended): Record<string, unknown> {
  const panels = panelsOf(result);
  return {
    exitCode,
    folder,
    report,
    scenario: result.scenario.name,
    session: result.session,
    standIn: result.standIn,
    trust: trustOf(result),
    failures: failures.map(errorJson),
    cells: result.cells.map((cell) => cellJson(result, panels, cell)),
  };
}

export const errorJson = ({ code, message, hint }: BenchError): Record<string, unknown> => ({
  code,
  message,
  hint: hint ?? null,
});

function cellJson(result: Result, panels: readonly Panel[], cell: CellResult): Record<string, unknown> {
  const figures = FIGURES.flatMap(([metric, stat]) => {
    const shown = cellFigure(cell, metric, stat);
    return shown.value === null ? [] : [[stat === 'value' ? metric : `${metric}_${stat}`, figureJson(shown)] as const];
  });
  const panel = panelWith(panels, cell);
  const costs = COSTS.flatMap(({ metric, stat }) => {
    const cost = panel === undefined || cell.at.adapters === 0 ? null : costOf(panel, cell, metric, stat);
    if (cost === null || cost.ratio === null) return [];
    const { ratio, above, interval, pairs, doubtful } = cost;
    return [[stat === 'value' ? metric : `${metric}_${stat}`, { ratio, above, interval, pairs, doubtful }] as const];
  });
  return {
    id: cell.id,
    target: serverOf(result, cell),
    at: cell.at,
    states: cell.runs.map(({ state }) => state),
    counts: cellCounts(cell),
    figures: Object.fromEntries(figures),
    costOfAdapters: Object.fromEntries(costs),
  };
}

const figureJson = ({ value, unit, above, spread, partial, doubtful }: Shown): Record<string, unknown> => ({
  value,
  unit,
  above,
  spread,
  partial,
  doubtful,
});
