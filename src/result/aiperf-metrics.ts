/**
 * A run's metrics under AIPerf's tags, each only where ours means what theirs does.
 *
 * In: a run and its cell. Out: tag -> statistics; what a result can't state is not there. The definitions are those of
 * AIPerf's docs/metrics-reference.md and `aiperf/metrics/types/` (0.13), which are over requests that succeeded and count
 * from the actual send:
 *
 *   time_to_first_token        service_ttft         request_latency        e2e (1)
 *   time_to_first_output_token ttfot (1)            inter_token_latency    tpot, as with AIPerf's --per-chunk-usage
 *   inter_chunk_latency        chunk_gap (2)        output_token_throughput_per_user   1 / tpot
 *   output_sequence_length     output_tokens        input_sequence_length  input_tokens, both as the server counts
 *   output_token_throughput    output_tokens_per_second_whole_run: over `benchmark_duration`, first send to last content
 *   request_throughput, goodput and the other rates are over that duration too, ramp and drain in it; our own of that
 *   name are over the steady window and have no place here.
 *
 * Latencies of ours are of the requests issued since steady state began, AIPerf's of all. That can't be undone from a
 * result: `count` says of how many they are, and `metadata` how many came before. Lengths, counts and rates are of all.
 *
 * (1) Ours count from the intended send. In an open loop that is the same only while the client keeps to its schedule, so
 * they and goodput are left out where a request left later by more than the histogram's precision of the shortest latency.
 * (2) Ours has the gaps of requests that failed later, so it is left out where there are any.
 *
 * Cancelled requests are errors to AIPerf. Its `adj_` metrics, in which errors take forever, are there where it has them.
 */
import { type AiperfStats, adjustedStats, observedStats, perUserStats } from './aiperf-stats.ts';
import { type Distribution, isDistribution, isScalar, type RunResult } from './schema.ts';

export type AiperfMetrics = Record<string, AiperfStats>;

/** Of three digits. */
const PRECISION = 1e-3;

export function aiperfMetrics(run: RunResult): AiperfMetrics {
  return { ...latenciesOf(run), ...lengthsOf(run), ...countsOf(run), ...ratesOf(run) };
}

function latenciesOf(run: RunResult): AiperfMetrics {
  const onTime = sentOnTime(run);
  const gaps = spread(run, 'chunk_gap');
  const tpot = spread(run, 'tpot');
  const perUser = tpot === null ? null : perUserStats(tpot);
  const adjusted = {
    time_to_first_token: spread(run, 'service_ttft'),
    request_latency: onTime ? spread(run, 'e2e') : null,
    inter_token_latency: tpot,
  };
  const others = {
    time_to_first_output_token: onTime ? spread(run, 'ttfot') : null,
    inter_chunk_latency: gaps?.censored === 0 ? gaps : null,
  };
  return {
    ...mapped({ ...adjusted, ...others }, observedStats),
    ...(perUser === null ? {} : { output_token_throughput_per_user: perUser }),
    ...(errorsIn(run) === 0 ? {} : renamed(mapped(adjusted, adjustedStats))),
  };
}

const lengthsOf = (run: RunResult): AiperfMetrics =>
  mapped(
    { output_sequence_length: spread(run, 'output_tokens'), input_sequence_length: spread(run, 'input_tokens') },
    observedStats,
  );

function countsOf(run: RunResult): AiperfMetrics {
  const { issued, ok, inputTokens, outputTokens } = run.counts;
  const errors = errorsIn(run);
  return {
    request_count: one('requests', ok),
    ...(errors === 0 ? {} : { error_request_count: one('requests', errors) }),
    completed_request_count: one('requests', issued),
    ...(issued === 0 ? {} : { request_error_rate: one('%', (100 * errors) / issued) }),
    ...(spread(run, 'input_tokens') === null ? {} : { total_isl: one('tokens', inputTokens) }),
    ...(spread(run, 'output_tokens') === null ? {} : { total_osl: one('tokens', outputTokens) }),
  };
}

/** Whatever is per second, over the time from the first send to the last content of the requests that succeeded. */
function ratesOf(run: RunResult): AiperfMetrics {
  const whole = run.metrics['output_tokens_per_second_whole_run'];
  if (!isScalar(whole) || !(whole.count > 0)) return {};
  const seconds = whole.count / whole.value;
  const { ok, inputTokens, outputTokens } = run.counts;
  const perSecond = (unit: string, count: number) => one(`${unit}/sec`, count / seconds);
  const good = goodIn(run);
  return {
    benchmark_duration: one('sec', seconds),
    request_throughput: perSecond('requests', ok),
    output_token_throughput: perSecond('tokens', outputTokens),
    ...(spread(run, 'input_tokens') === null
      ? {}
      : {
          input_token_throughput: perSecond('tokens', inputTokens),
          total_token_throughput: perSecond('tokens', inputTokens + outputTokens),
        }),
    ...(good === null
      ? {}
      : {
          goodput: perSecond('requests', good.count),
          good_request_count: one('requests', good.count),
          good_request_fraction: one('ratio', good.fraction),
        }),
  };
}

/**
 * Requests that met every objective; null without any. AIPerf counts a request without a decode rate as one that missed,
 * we as one that met: where there are such, theirs is not known.
 */
function goodIn(run: RunResult): { count: number; fraction: number } | null {
  const share = run.metrics['goodput_fraction'];
  const [tpot, latency] = [spread(run, 'tpot'), spread(run, 'e2e')];
  const allHaveOne = tpot !== null && latency !== null && observedIn(tpot) === observedIn(latency);
  if (!isScalar(share) || !allHaveOne || !sentOnTime(run)) return null;
  return { count: Math.round(share.value * share.count), fraction: share.value };
}

const observedIn = ({ count, censored }: Distribution): number => count - censored;

/** A closed loop has no schedule to fall behind, and no send lag. */
function sentOnTime(run: RunResult): boolean {
  const lag = spread(run, 'send_lag');
  const latency = spread(run, 'e2e');
  if (lag === null || latency === null) return lag === null;
  return typeof lag.max === 'number' && lag.max <= PRECISION * latency.min;
}

const errorsIn = ({ counts }: RunResult): number => counts.failed + counts.cancelled;

function spread({ metrics }: RunResult, name: string): Distribution | null {
  const metric = metrics[name];
  return isDistribution(metric) ? metric : null;
}

const one = (unit: string, avg: number): AiperfStats => ({ unit, avg });

function mapped(
  distributions: Record<string, Distribution | null>,
  statsOf: (distribution: Distribution) => AiperfStats,
): AiperfMetrics {
  return Object.fromEntries(
    Object.entries(distributions).flatMap(([tag, found]) => (found === null ? [] : [[tag, statsOf(found)]])),
  );
}

const renamed = (metrics: AiperfMetrics): AiperfMetrics =>
  Object.fromEntries(Object.entries(metrics).map(([tag, stats]) => [`adj_${tag}`, stats]));
