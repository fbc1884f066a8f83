/**
 * Whether a run can be judged by at all. In: a run, what is judged by it, what all runs together say of trends. Out: why not,
 * where the harness is to blame (late sends, a client that stamps late, latencies that were of no one state); or whether its
 * server was.
 *
 * A trend counts where it is clear among all runs together (Holm) and more than half the tolerance: a change that small can't
 * decide. Late sends and late stamps count where they are part of the figure; of a figure that is compared, where they are more
 * than half the tolerance of it: what the client adds to either side alike hides no larger a change.
 */
import { isMaterial, NOT_SETTLED } from '../metrics/steady-state.ts';
import { isDistribution, type RunResult } from '../result/schema.ts';
import { holm } from '../stats/holm.ts';
import type { PairedRuns } from './judgement.ts';
import type { Threshold } from './threshold.ts';

/** As for the warning of a single run (validity/steadiness.ts). */
const TREND_ALPHA = 0.05;
/** Whatever the figure, the load was then not the one asked for. */
const SEND_LAG_LIMIT_MS = 10;
const LEAST_LAG_MS = 1;
/** What may be wrong of a figure that has a limit and no tolerance. */
const SHARE_OF_LIMIT = 0.01;

/** p of each run's trend, for all runs together; only those that have one. */
export type Trends = ReadonlyMap<RunResult, number>;

export function trendsOf(pairs: readonly PairedRuns[]): Trends {
  const tested = pairs
    .flatMap(({ a, b }) => [a, b])
    .flatMap((run) => {
      const p = run?.validity.steadyDetail?.pTrend;
      return run === null || p == null ? [] : [{ run, p }];
    });
  const adjusted = holm(tested.map(({ p }) => p));
  return new Map(tested.map(({ run }, i) => [run, adjusted[i] as number]));
}

/** Metrics that the time of sending is part of, those whose figures late stamps raise, and how. */
const FROM_INTENDED = /^(ttft|ttft_cold|ttft_warm|ttfot|e2e)$/;
const LIMITED: readonly [RegExp, 'ttft' | 'tpot'][] = [
  [/^(ttft.*|service_ttft|ttfot|e2e)$/, 'ttft'],
  [/^(tpot.*|itl|chunk_gap|e2e)$/, 'tpot'],
];
/** What counts requests and tokens, whatever the time. */
export const TIMELESS = /^(error_rate|input_tokens|output_tokens|tokens_per_chunk)$/;

/** Why the harness spoilt this run for the threshold; null where it did not. */
export function harnessFault(run: RunResult, threshold: Threshold, trends: Trends): string | null {
  if (run.counts.issued === 0) return 'no request was issued';
  if ((run.errors['client_limit'] ?? 0) > 0) return 'this machine had no file handle or port left for requests';
  if (TIMELESS.test(threshold.metric)) return null;
  return lateSends(run, threshold) ?? lateStamps(run, threshold) ?? unsteady(run, threshold, trends);
}

/** By how much the threshold's figure may be wrong, as a share of it. */
const slack = ({ rule }: Threshold): number => (rule.kind === 'relative' ? rule.tolerance / 2 : SHARE_OF_LIMIT);

function lateSends(run: RunResult, threshold: Threshold): string | null {
  const lag = run.validity.sendLagP99;
  if (lag === null) return null;
  const metric = run.metrics[threshold.metric];
  const middle = isDistribution(metric) && typeof metric.p50 === 'number' ? metric.p50 : 0;
  const allowed = FROM_INTENDED.test(threshold.metric)
    ? Math.min(SEND_LAG_LIMIT_MS, Math.max(LEAST_LAG_MS, slack(threshold) * middle))
    : SEND_LAG_LIMIT_MS;
  if (lag <= allowed) return null;
  return `requests were sent late: send lag p99 was ${lag.toFixed(1)} ms, of ${allowed.toFixed(1)} ms allowed`;
}

function lateStamps(run: RunResult, threshold: Threshold): string | null {
  const { metric, aggregation } = threshold;
  const limited = run.validity.clientError?.limited ?? [];
  const part = aggregation === 'mean' || aggregation === 'p50' || aggregation === null ? 'p50' : 'p99';
  const hit = LIMITED.find(
    ([names, figure]) =>
      names.test(metric) && limited.includes(`${figure}.${part}`) && !isWithin(run, threshold, figure, part),
  );
  return hit === undefined ? null : `this machine's client stamped replies late (client limited in ${hit[1]}.${part})`;
}

/** What the client added is known, and too little of the figure to decide whether it is worse than the reference's. */
function isWithin(run: RunResult, threshold: Threshold, figure: 'ttft' | 'tpot', part: 'p50' | 'p99'): boolean {
  const error = run.validity.clientError?.[figure]?.[part] ?? null;
  const metric = run.metrics[figure];
  if (threshold.rule.kind !== 'relative' || error === null || !isDistribution(metric)) return false;
  const value = metric[part];
  return typeof value === 'number' && error <= slack(threshold) * value;
}

function unsteady(run: RunResult, threshold: Threshold, trends: Trends): string | null {
  const detail = run.validity.steadyDetail;
  if (detail === undefined) return run.validity.steady === 'trending' ? 'latencies were not steady' : null;
  const { drift, why } = detail;
  const matters = drift === null ? null : decides(drift, threshold);
  // Its second half is what counts: known to have changed by too little to decide, it will do.
  if (why === NOT_SETTLED) return matters === false && threshold.rule.kind === 'relative' ? null : NOT_SETTLED;
  if (drift === null || !matters || (trends.get(run) ?? 1) > TREND_ALPHA) return null;
  return `latencies were not steady: ${detail.metric} ${drift > 0 ? 'rose' : 'fell'} by ${Math.abs(100 * drift).toFixed(0)}% within the run`;
}

/** A change within the run that a verdict could turn on. */
const decides = (drift: number, threshold: Threshold): boolean =>
  threshold.rule.kind === 'relative' ? Math.abs(Math.log1p(drift)) > slack(threshold) : isMaterial(drift);

/** Latencies grew all along under an open loop: requests came faster than they were served. */
export function saturated(run: RunResult, trends: Trends): boolean {
  const { inFlight, steadyDetail } = run.validity;
  if (inFlight.asked !== null || steadyDetail === undefined || steadyDetail.drift === null) return false;
  return steadyDetail.drift > 0 && isMaterial(steadyDetail.drift) && (trends.get(run) ?? 1) <= TREND_ALPHA;
}

/** The server did not live through the run, or answered nothing right in it. */
export function serverFault({ state, counts, errors }: RunResult): string | null {
  if (state === 'failed') return 'its server died';
  if (counts.issued === 0 || counts.ok > 0) return null;
  const names = Object.entries(errors).map(([name, count]) => `${name} x ${count}`);
  return `none of ${counts.issued} requests succeeded${names.length === 0 ? '' : ` (${names.join(', ')})`}`;
}
