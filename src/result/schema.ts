/**
 * The result contract: result.json (format bench-result/1) and the lines of requests.jsonl.
 *
 * Times in result.json are milliseconds unless a unit says otherwise; stamps in requests.jsonl are integer nanoseconds
 * of the monotonic clock since the invocation's origin. Fields are extended, never renamed.
 */
import type { At, StandIn } from '../plan/plan.ts';
import type { Ceilings } from './device-file.ts';

export const FORMAT = 'bench-result/1';

/** Every way a request can fail; a record's `error` is one of these. */
export const REQUEST_ERRORS = [
  'connect_refused',
  'connect_timeout',
  'connect_failed',
  'headers_timeout',
  'first_content_timeout',
  'total_timeout',
  'reset_before_headers',
  'reset_mid_stream',
  'http_400',
  'http_401',
  'http_403',
  'http_404',
  'http_422',
  'http_429',
  'http_500',
  'http_503',
  'http_other',
  'error_in_stream',
  'bad_body',
  'no_content',
  'ended_early',
  'wrong_output_tokens',
  'wrong_finish_reason',
  'target_died',
  /** This machine has no file handle, or no port, left for the request's connection. */
  'client_limit',
] as const;
export type RequestError = (typeof REQUEST_ERRORS)[number];

/** Where the tokens-per-chunk figures come from. */
export type TokenSource = 'continuous_usage' | 'tokenizer' | 'one_per_chunk' | 'unknown';

/** What a server says of its own time for one request, in milliseconds (engine/EXTENSIONS.md). */
export interface ServerTimings {
  queue_ms: number;
  /** Time it was held up because its adapter was not on the device. */
  adapter_ms: number;
  /** Where its adapter was when it came; null for the base model. */
  adapter_tier: 'device' | 'host' | 'disk' | null;
  /** Bytes that were read and sent to the device for it; absent where the server does not say. */
  adapter_bytes?: number;
  /** The time of that work alone; it overlaps with steps that run, so adapter_ms may be more or less. */
  adapter_load_ms?: number;
  prefill_ms: number;
  decode_ms: number;
  /** Request read to first content chunk written. */
  ttft_ms: number;
  /** First content chunk written to last content chunk written. */
  stream_ms: number;
}

/** A line of requests.jsonl. */
export interface RequestRecord {
  /** Such as "c3.0": cell id and replicate; "c3.0.B" where it is half of a pair, with the arm. */
  run: string;
  attempt: number;
  i: number;
  phase: 'warmup' | 'measure';
  model: string;
  adapter: string | null;
  /** Open loop: when it should have been sent. Closed loop: equal to sent. */
  intended: number;
  sent: number;
  /** First byte of the response's body; null if none came. */
  firstByte: number | null;
  /** Content chunks only: [ns since sent, tokens or null]. */
  chunks: [number, number | null][];
  /** First content that is not reasoning, ns since sent; null if none came; absent in records that don't tell. */
  firstOutput?: number | null;
  end: number;
  outcome: 'ok' | 'failed' | 'cancelled';
  error: RequestError | null;
  /** What went wrong, in the server's or socket's words, cut to 300 characters. */
  detail?: string;
  usage: { prompt_tokens: number; completion_tokens: number } | null;
  /** Tokens asked for. */
  asked: { promptTokens: number; outputTokens: number };
  finish: string | null;
  tokenSource: TokenSource;
  timings: ServerTimings | null;
}

/** A percentile among censored samples is only known to exceed a value. */
export type Bounded = number | { gt: number };

export type Percentile = 'p50' | 'p90' | 'p95' | 'p99' | 'p999';
/** 99% confidence intervals; null where the samples are worth too few for one, or an end of it is only a lower bound. */
export type Intervals = Record<Percentile, [number, number] | null>;

export interface Distribution {
  unit: string;
  count: number;
  /** Independent samples that the p99 is known as well as from; of the next lower percentile where fewer than 4 lie above it. */
  nEff: number;
  mean: number;
  std: number;
  min: number;
  max: Bounded;
  p50: Bounded;
  p90: Bounded;
  p95: Bounded;
  p99: Bounded;
  p999: Bounded;
  /** The 99% interval of the p99. */
  ci99: [number, number] | null;
  /** Of every percentile; absent for an adapter's, and in results of earlier versions. */
  intervals?: Intervals;
  /** Samples known only to exceed the time at which their request ended. */
  censored: number;
  /** HDR histogram, V2 compressed base64; integer ns for times. */
  hdr: string;
}

/** A number for the whole run, such as a rate; `hdr` where a histogram of its parts exists. */
export interface Scalar {
  unit: string;
  count: number;
  value: number;
  hdr?: string;
}

export interface Unavailable {
  unit: string;
  count: 0;
  reason: string;
}

export type MetricValue = Distribution | Scalar | Unavailable;

export const isDistribution = (m: MetricValue | undefined): m is Distribution => m !== undefined && 'p50' in m;
export const isScalar = (m: MetricValue | undefined): m is Scalar => m !== undefined && 'value' in m;
export const isUnavailable = (m: MetricValue | undefined): m is Unavailable => m !== undefined && 'reason' in m;

/** By how much a run's percentiles stand too high for what the client adds, ms. */
export interface ClientError {
  /** null where it is not known: no request has a value, or there were too few probes for that percentile. */
  ttft: { p50: number | null; p99: number | null } | null;
  tpot: { p50: number | null; p99: number | null } | null;
  /** Figures in which the error is above max(1 ms, 1% of the value), such as "ttft.p99". */
  limited: string[];
}

export interface Validity {
  valid: boolean;
  reasons: string[];
  warnings: string[];
  /** ms; null in a closed loop. */
  sendLagP99: number | null;
  /** null where it is not known, as in results of earlier versions. */
  clientError: ClientError | null;
  /** Mean requests in flight during the window, and what was asked (null in an open loop). */
  inFlight: { mean: number; asked: number | null };
  /** Whether latencies stayed the same from the start of the window on. */
  steady: 'steady' | 'trending' | 'unknown';
  /** Absent in results of earlier versions. */
  steadyDetail?: SteadyDetail;
}

/** What steady state was judged by. */
export interface SteadyDetail {
  /** Requests issued before it began: those of the ramp and of a warm-up. No latency counts them. */
  cutRequests: number;
  /** The latency that changed most clearly afterwards; null where none could be judged. */
  metric: 'ttft' | 'tpot' | 'e2e' | null;
  /** How probable so clear a change is by chance: for all latencies tried in this run, not yet for all runs. */
  pTrend: number | null;
  /** By how much it changed from the start to the end: 0.3 is 30% more. */
  drift: number | null;
  /** Why it is unknown; null where it is known. */
  why: string | null;
}

/** By how much the client stamps late what arrives, ms; `hdr` in ns. */
export interface StampError {
  count: number;
  p50: number;
  p99: number;
  max: number;
  hdr: string;
}

/** What the client itself adds to times, as found out against a server whose timing is known. */
export interface SelfCheck {
  workers: number;
  streams: number;
  /** Between two tokens of a stream, ms; all streams get theirs in step. */
  gapMs: number;
  /** Of every chunk: any may be a request's first. */
  ttft: StampError;
  /** Of every request's time per token. */
  tpot: StampError;
}

/** How the measuring threads fared during a run; of each figure the thread that has the worst. */
export interface ClientHealth {
  workers: number;
  /**
   * By how much the threads stamped late what arrived, ms: from probes that carry their time of sending. null where the run
   * was too short for one.
   */
  stampError: StampError | null;
  gcPauseMaxMs: number;
  gcPauseTotalMs: number;
  eventLoopDelayP99Ms: number;
  eventLoopDelayMaxMs: number;
  /** Share of the time in which the event loop was at work, 0..1. */
  busy: number;
}

/** One stage of steps: all its kernels, in all layers. */
export interface StageProfile {
  /** embed, qkv, attention, o, gateUp, down, head or sample. */
  stage: string;
  ms: number;
  /** What it had to move and compute at least; 0 where that is not counted. */
  bytes: number;
  operations: number;
}

export interface KernelProfile {
  stage: string;
  kernel: string;
  calls: number;
  ms: number;
}

/** Where steps of one kind spent their time, on the device's own clock. All figures are sums over `steps`. */
export interface StepKindProfile {
  kind: 'decode' | 'prefill';
  rows: { least: number; most: number; sum: number };
  steps: number;
  /** From submission, or the end of the step before, until the ids were read back. */
  wallMs: number;
  kernelMs: number;
  /** Distinct adapters of each step. */
  adapters: number;
  /** Rows that carried an adapter. */
  loraRows: number;
  stages: StageProfile[];
  kernels: KernelProfile[];
}

/** A request that took long, for people to look at: times in ms since it should have been sent. */
export interface SlowRequest {
  i: number;
  adapter: string | null;
  outcome: RequestRecord['outcome'];
  error: RequestError | null;
  /** When it should have been sent, ms since the run began. */
  at: number;
  sent: number;
  firstByte: number | null;
  /** First and last content. */
  first: number | null;
  last: number | null;
  end: number;
  promptTokens: number;
  outputTokens: number | null;
  /** The longest time between two chunks. */
  longestGap: { from: number; ms: number } | null;
  /** What the server said of its own time. */
  timings: ServerTimings | null;
}

export interface RunResult {
  /** 0-based within its cell; "c3.0" is the run of a record. Absent in results of earlier versions. */
  replicate?: number;
  seed: number;
  nonce: string;
  order: number;
  /** Runs of one pair had the same seed, one on each arm, one after the other; null where there was one target. */
  pair: number | null;
  /** "A" or "B". */
  arm: string | null;
  attempt: number;
  state: 'done' | 'failed' | 'interrupted';
  startedAt: string;
  /** ns since the invocation's origin. */
  window: { from: number; to: number };
  counts: {
    issued: number;
    ok: number;
    failed: number;
    cancelled: number;
    inputTokens: number;
    outputTokens: number;
  };
  errors: Record<string, number>;
  validity: Validity;
  metrics: Record<string, MetricValue>;
  /** null where the run was over before its load began; absent in results of earlier versions. */
  client?: ClientHealth | null;
  /** Counters of a fixed drive of its cell (result/exact.ts); empty where none was made. */
  exact: Record<string, number>;
  /** Where the engine's steps spent their time; absent unless it was told to profile. */
  profile?: StepKindProfile[];
  /** The device and kernels that they belong to; absent where there are none. */
  exactFor?: string;
  perAdapter: Record<string, { count: number; ttft: MetricValue; tpot: MetricValue }>;
  /** Up to ten that took longest, by end and by first token; absent in results of earlier versions. */
  slowest?: SlowRequest[];
  /** One entry per second from the start of the run: tokens, requests completed and failed, mean in flight. */
  timeline: {
    stepMs: number;
    /** When it begins, ns since the invocation's origin, as `window`; absent in results of earlier versions. */
    from?: number;
    outputTokens: number[];
    completed: number[];
    failed: number[];
    inFlight: number[];
    /** What the server's own page of metrics said; null where it was not read. `from`: the metric behind each series. */
    server?: { source: string; from: Record<string, string>; series: Record<string, (number | null)[]> };
  };
}

export interface CellResult {
  /** Unique for its target: of a comparison both have the same cells, by the same ids. */
  id: string;
  target: string;
  at: At;
  /** Ranks the target really served, where a stand-in scales them; else null. */
  servedRanks: number[] | null;
  runs: RunResult[];
}

export interface TargetInfo {
  id: string;
  /** Which side of a comparison it is; absent where one target was measured. */
  arm?: 'A' | 'B';
  kind: 'engine' | 'endpoint';
  url: string;
  model: string;
  /** What is known of the server: name and version, device, geometry, flags; never a key. */
  server: Record<string, unknown>;
}

export interface Machine {
  id: string;
  cpu: string;
  cores: number;
  os: string;
  node: string;
  gpu: {
    name: string;
    driver: string;
    software: boolean;
    /** What it was measured to do at most (bench doctor); absent where that is not known. */
    ceilings?: Pick<Ceilings, 'read' | 'fma' | 'matrix'>;
  } | null;
}

export interface Result {
  format: typeof FORMAT;
  tool: { name: 'lorabench'; version: string; commit: string | null };
  scenario: { name: string; description: string | null; file: string | null; hash: string; resolved: unknown };
  planHash: string;
  createdAt: string;
  session: string;
  /** Later invocations that went on with it (--resume); absent where there was none. */
  resumed?: { session: string; at: string }[];
  machine: Machine;
  /** Threads that measured, at most; what they add to times (null where that was not found out). */
  client: { workers: number; selfCheck: SelfCheck | null };
  standIn: StandIn | null;
  targets: TargetInfo[];
  warnings: string[];
  cells: CellResult[];
}
