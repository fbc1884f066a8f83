/**
 * The server's own metrics while a run is measured: read every second beside the load, and laid on the run's timeline.
 *
 * In: how the server is reached. Out: readings with their stamps; from them, one value a second for each series. It runs on
 * the main thread, away from the threads that stamp chunks, and what fails here fails no run: it ends, and says why.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { now as monotonicNow } from '../client/clock.ts';
import type { RunResult } from '../result/schema.ts';
import { MetricsPage, metricsUrls, type NoPage, type PageReading } from './metrics-page.ts';
import { SERIES, type SeriesName } from './server-series.ts';
import type { Connection } from './target.ts';

const EVERY_MS = 1_000;
/** So many failures in a row, and it is left alone: a server under load should not be asked in vain each second. */
const MOST_FAILURES = 3;

export interface SampleOptions {
  connection: Pick<Connection, 'baseUrl' | 'apiKey' | 'headers' | 'metricsUrl'>;
  everyMs?: number;
  /** Integer nanoseconds, of the clock that the run's stamps are from. */
  now?: () => number;
  signal?: AbortSignal;
}

export interface ServerMetricSamples {
  /** The page they were read from; null when nothing was read. */
  source: string | null;
  from: PageReading['from'];
  points: Pick<PageReading, 'at' | 'values'>[];
  /** Why it ended before it was stopped. */
  reason: string | null;
}

export interface ServerMetrics {
  /** Ends it at once. null when the server has no page of metrics; may be called twice. Never rejects. */
  stop(): Promise<ServerMetricSamples | null>;
}

/** A page somewhere else gets neither the key nor whatever else is meant for the server. */
function headersFor({
  baseUrl,
  metricsUrl = null,
  apiKey,
  headers,
}: SampleOptions['connection']): Record<string, string> {
  if (metricsUrl !== null && new URL(metricsUrl).origin !== new URL(baseUrl).origin) return {};
  return { ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }), ...headers };
}

/** Begins at once, and reads until it is stopped, the signal aborts, or the server does not answer. */
export function sampleServerMetrics(options: SampleOptions): ServerMetrics {
  const { connection, everyMs = EVERY_MS, now = monotonicNow, signal } = options;
  const { baseUrl, metricsUrl = null } = connection;
  const urls = metricsUrl === null ? metricsUrls(baseUrl) : [metricsUrl];
  const page = new MetricsPage(urls, headersFor(connection), now);
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  const sampled = sample(page, everyMs, stopped.signal).finally(() => {
    signal?.removeEventListener('abort', stop);
    return page.close();
  });
  return {
    stop() {
      stop();
      return sampled;
    },
  };
}

async function sample(page: MetricsPage, everyMs: number, stopped: AbortSignal): Promise<ServerMetricSamples | null> {
  const samples: ServerMetricSamples = { source: null, from: {}, points: [], reason: null };
  const start = performance.now();
  let failures: NoPage[] = [];
  while (!stopped.aborted) {
    try {
      const { url, from, at, values } = await page.read(stopped);
      failures = [];
      samples.source = url;
      Object.assign(samples.from, from);
      samples.points.push({ at, values });
    } catch (error) {
      if (stopped.aborted) break;
      failures.push(error as NoPage);
      if (failures.length === MOST_FAILURES) break;
    }
    // The next full interval: one that went by while a page was slow is left out.
    const since = performance.now() - start;
    const wait = (Math.floor(since / everyMs) + 1) * everyMs - since;
    await sleep(wait, null, { ref: false, signal: stopped }).catch(() => {}); // ends early when it is stopped
  }
  const last = failures.at(-1);
  if (failures.length === MOST_FAILURES) samples.reason = `${last?.message}, ${MOST_FAILURES} times in a row`;
  return samples.source === null && failures.every(({ absent }) => absent) ? null : samples;
}

type ServerTimeline = NonNullable<RunResult['timeline']['server']>;

/** What stands in result.json: the samples on a timeline of `length` steps from `runStart`; undefined where there are none. */
export function serverTimeline(
  samples: ServerMetricSamples | null,
  runStart: number,
  stepMs: number,
  length: number,
): ServerTimeline | undefined {
  if (samples === null || samples.source === null) return undefined;
  const series = seriesOnTimeline(samples, runStart, stepMs, length);
  return Object.keys(series).length === 0 ? undefined : { source: samples.source, from: { ...samples.from }, series };
}

/**
 * One value a step for each series that has any: the mean of what was read in that step, null where nothing was.
 * `preemptions` are those since the reading before, in the step of the later one, where a counter that fell began anew; the
 * reading before may lie ahead of the run.
 * @param runStart ns, as the samples' stamps
 */
export function seriesOnTimeline(
  { points }: Pick<ServerMetricSamples, 'points'>,
  runStart: number,
  stepMs: number,
  length: number,
): Record<string, (number | null)[]> {
  const series: Record<string, (number | null)[]> = {};
  for (const name of SERIES) {
    const steps = Array.from({ length }, () => ({ sum: 0, count: 0 }));
    for (const { at, value } of valuesOf(points, name)) {
      const step = steps[Math.floor((at - runStart) / (stepMs * 1e6))];
      if (step === undefined) continue; // before the run, or after it
      step.sum += value;
      step.count++;
    }
    if (steps.every(({ count }) => count === 0)) continue;
    series[name] = steps.map(({ sum, count }) => (count === 0 ? null : isCounter(name) ? sum : sum / count));
  }
  return series;
}

const isCounter = (name: SeriesName): boolean => name === 'preemptions';

/** Of a counter, what came since the reading before. */
function valuesOf(points: ServerMetricSamples['points'], name: SeriesName): { at: number; value: number }[] {
  const read = points.flatMap(({ at, values }) => (values[name] === undefined ? [] : [{ at, value: values[name] }]));
  if (!isCounter(name)) return read;
  return read.slice(1).map(({ at, value }, i) => {
    const before = read[i]?.value ?? 0;
    return { at, value: value < before ? value : value - before };
  });
}
