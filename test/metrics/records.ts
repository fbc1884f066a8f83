/** Records and cells for known answers: times in milliseconds, with only what a test cares about spelt out. */
import type { MetricInput } from '../../src/metrics/metric.ts';
import { type Samples, samplesOf } from '../../src/metrics/samples.ts';
import type { Cell, Load, Slo } from '../../src/plan/plan.ts';
import type { RequestRecord, SteadyDetail } from '../../src/result/schema.ts';
import { type Step, stepsOf } from '../../src/stats/step-function.ts';

export const ms = (n: number): number => Math.round(n * 1e6);

export interface Sketch extends Partial<Omit<RequestRecord, 'chunks'>> {
  /** [ms since sent, tokens]. */
  chunks?: [number, number | null][];
  /** ms */
  sentMs?: number;
  intendedMs?: number;
  endMs?: number;
}

let made = 0;

/** A request that succeeded, sent at `sentMs`, which ended with its last chunk unless told otherwise. */
export function record(sketch: Sketch = {}): RequestRecord {
  const { chunks = [[10, 1]], sentMs = 0, intendedMs = sentMs, endMs, ...rest } = sketch;
  const last = chunks.at(-1)?.[0] ?? 0;
  const known = chunks.every(([, tokens]) => tokens !== null);
  const tokens = chunks.reduce((sum, [, n]) => sum + (n ?? 0), 0);
  return {
    run: 'c1.0',
    attempt: 1,
    i: made++,
    phase: 'measure',
    model: 'base',
    adapter: null,
    intended: ms(intendedMs),
    sent: ms(sentMs),
    firstByte: chunks.length === 0 ? null : ms(sentMs + (chunks[0]?.[0] ?? 0)),
    chunks: chunks.map(([at, n]) => [ms(at), n]),
    end: ms(endMs ?? sentMs + last),
    outcome: 'ok',
    error: null,
    usage: known ? { prompt_tokens: 7, completion_tokens: tokens } : null,
    asked: { promptTokens: 5, outputTokens: Math.max(1, tokens) },
    finish: 'length',
    tokenSource: known ? 'continuous_usage' : 'unknown',
    timings: null,
    ...rest,
  };
}

export const failed = (sketch: Sketch = {}): RequestRecord =>
  record({ chunks: [], outcome: 'failed', error: 'http_500', usage: null, ...sketch });

export function cell(load: Load = { kind: 'closed', concurrency: 1 }, over: Partial<Cell> = {}): Cell {
  return {
    id: 'c1',
    at: {
      model: 'base',
      weights: null,
      rank: null,
      adapters: 0,
      popularity: null,
      base_share: 0,
      kind: null,
      mode: null,
      residency: null,
      modules: null,
      control: 'exact',
      promptTokens: 5,
      outputTokens: 4,
      concurrency: load.kind === 'closed' ? load.concurrency : null,
      rate: load.kind === 'open' ? load.rate : null,
      arrivals: load.kind === 'open' ? load.arrivals : null,
    },
    adapters: [],
    modules: 'all',
    popularity: { kind: 'uniform' },
    baseShare: 0,
    prompt: { lengths: { kind: 'fixed', tokens: 5 }, reuse: false },
    output: { lengths: { kind: 'fixed', tokens: 4 }, control: 'exact' },
    load,
    measure: { requests: 10 },
    warmupPerAdapter: 1,
    drainMs: 1000,
    request: { temperature: 0, extraBody: {}, timeoutMs: 60_000 },
    ...over,
  };
}

export const OPEN: Load = { kind: 'open', rate: 10, arrivals: 'constant' };

const NOT_JUDGED: SteadyDetail = { cutRequests: 0, metric: null, pTrend: null, drift: null, why: 'not judged' };

/** One request for each value and each bound, the values first; a weight a value. */
export function samplesFrom(values: number[], bounds: number[] = [], weights?: number[]): Samples {
  const seen = values.map((value, i) => ({ value, weight: weights?.[i] ?? 1, bound: null }));
  const unseen = bounds.map((bound) => ({ value: 0, weight: 0, bound }));
  return samplesOf<{ value: number; weight: number; bound: number | null }>([...seen, ...unseen], (one, into) => {
    if (one.bound === null) into.see(one.value, one.weight);
    else into.censor(one.bound);
  });
}

/** What a metric is given, over a window in ms; every request counts as steady unless told otherwise. */
export function input(
  records: RequestRecord[],
  over: { slo?: Slo; load?: Load; window?: [number, number]; steady?: RequestRecord[] } = {},
): MetricInput {
  const [from, to] = over.window ?? [0, 1000];
  const inFlight: Step[] = stepsOf(
    records.flatMap((r) => [
      { at: r.sent, by: 1 },
      { at: r.end, by: -1 },
    ]),
  );
  return {
    records,
    ok: records.filter(({ outcome }) => outcome === 'ok'),
    steady: over.steady ?? records,
    steadyDetail: NOT_JUDGED,
    cell: cell(over.load),
    slo: over.slo ?? null,
    window: { from: ms(from), to: ms(to) },
    inFlight,
  };
}
