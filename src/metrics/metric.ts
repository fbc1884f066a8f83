/**
 * What a metric is: a name, what a reader must know of it, and how it is made from the records of one run.
 *
 * One file a metric implements this; registry.ts lists them; measure.ts runs them.
 */
import type { Cell, Slo } from '../plan/plan.ts';
import type { MetricValue, RequestRecord, SteadyDetail, Unavailable } from '../result/schema.ts';
import type { Step } from '../stats/step-function.ts';

export interface MetricInput {
  /** Every request issued in the measured phase, in order of `i`; warm-up is not among them. */
  records: readonly RequestRecord[];
  /** Those of them that succeeded. */
  ok: readonly RequestRecord[];
  /** Those issued since steady state began, whatever became of them: what latencies are of. */
  steady: readonly RequestRecord[];
  steadyDetail: SteadyDetail;
  cell: Cell;
  slo: Slo | null;
  /** Steady state, in ns since the invocation's origin: to the last issue, and empty where the run was too short. */
  window: { from: number; to: number };
  /** Requests in flight over time. */
  inFlight: readonly Step[];
}

export interface MetricInfo {
  name: string;
  /** As a heading: "Time to first token". */
  title: string;
  unit: string;
  better: 'lower' | 'higher';
  /** Samples with a mean and percentiles, or one number a run. */
  shape: 'distribution' | 'scalar';
  /** One line that says what it is, for people who read a chart. */
  description: string;
}

export interface Metric extends MetricInfo {
  compute(input: MetricInput): MetricValue;
}

export const unavailable = (unit: string, reason: string): Unavailable => ({ unit, count: 0, reason });

export const spanSeconds = ({ from, to }: { from: number; to: number }): number => (to - from) / 1e9;

/** For rates over a window that is empty. */
export const NO_WINDOW =
  'the run was over before its load was steady: nothing was issued after the asked concurrency was reached';
