/**
 * One run's records turned into its numbers. In: records and what was asked. Out: counts, errors, every metric, each
 * adapter apart, a timeline. Requests of the warm-up phase are excluded from all of it.
 *
 * Whether the numbers are fit to judge is validity/'s part: measureRun() there does both.
 */
import type { Cell, Slo } from '../plan/plan.ts';
import type { MetricValue, RequestRecord, RunResult } from '../result/schema.ts';
import { type Step, stepsOf } from '../stats/step-function.ts';
import type { MetricInput } from './metric.ts';
import { perAdapterOf } from './per-adapter.ts';
import { METRICS } from './registry.ts';
import { outputTokensOf } from './request-times.ts';
import { slowestOf } from './slowest.ts';
import { steadyStateOf } from './steady-state.ts';
import { timelineOf } from './timeline.ts';
import { loadedWindow } from './window.ts';

export interface RunContext {
  cell: Cell;
  slo: Slo | null;
  /** Stamps, ns since the invocation's origin: the measured phase began, its last request was issued, its last ended. */
  runStart: number;
  lastIssue: number;
  runEnd: number;
}

export type Measured = Pick<
  RunResult,
  'window' | 'counts' | 'errors' | 'metrics' | 'perAdapter' | 'timeline' | 'slowest'
> & {
  /** What the metrics were made from, for whoever judges them. */
  input: MetricInput;
};

export function measure(records: readonly RequestRecord[], context: RunContext): Measured {
  const { cell, slo, runStart, lastIssue, runEnd } = context;
  const measured = records.filter(({ phase }) => phase === 'measure').sort((a, b) => a.i - b.i);
  const ok = measured.filter(({ outcome }) => outcome === 'ok');
  const inFlight = inFlightOf(measured);
  const loaded = loadedWindow(measured, inFlight, cell.load, lastIssue);
  const { from, detail } = steadyStateOf(measured, loaded.from, lastIssue, cell);
  const window = { from: Math.max(loaded.from, from), to: loaded.to };
  const steady = measured.filter(({ intended }) => intended >= from);
  const input: MetricInput = { records: measured, ok, steady, steadyDetail: detail, cell, slo, window, inFlight };
  const metrics: Record<string, MetricValue> = {};
  for (const metric of METRICS) metrics[metric.name] = metric.compute(input);
  return {
    window,
    counts: countsOf(measured, ok),
    errors: errorsOf(measured),
    metrics,
    perAdapter: perAdapterOf(measured, steady),
    slowest: slowestOf(measured, runStart),
    timeline: timelineOf(measured, inFlight, runStart, runEnd),
    input,
  };
}

const inFlightOf = (records: readonly RequestRecord[]): Step[] =>
  stepsOf(
    records.flatMap(({ sent, end }) => [
      { at: sent, by: 1 },
      { at: end, by: -1 },
    ]),
  );

/** Tokens are those of requests that succeeded. */
function countsOf(records: readonly RequestRecord[], ok: readonly RequestRecord[]): RunResult['counts'] {
  return {
    issued: records.length,
    ok: ok.length,
    failed: records.filter(({ outcome }) => outcome === 'failed').length,
    cancelled: records.filter(({ outcome }) => outcome === 'cancelled').length,
    inputTokens: ok.reduce((sum, { usage, asked }) => sum + (usage?.prompt_tokens ?? asked.promptTokens), 0),
    outputTokens: ok.reduce((sum, record) => sum + (outputTokensOf(record) ?? 0), 0),
  };
}

function errorsOf(records: readonly RequestRecord[]): Record<string, number> {
  const errors: Record<string, number> = {};
  for (const { error } of records) if (error !== null) errors[error] = (errors[error] ?? 0) + 1;
  return errors;
}
