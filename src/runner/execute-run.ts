/**
 * One run of one cell: adapters in place, prompts made, connections open, warm-up, then the load, then the numbers.
 *
 * In: a target that is up, the cell, what to stop on. Out: a RunResult, also when the run was cut short: what was measured
 * until then counts. Records go to the sink as their requests end.
 */
import { createClient } from '../client/client.ts';
import { now } from '../client/clock.ts';
import { BenchError } from '../errors.ts';
import type { Cell, PlannedRun, Slo } from '../plan/plan.ts';
import type { Progress } from '../result/progress.ts';
import type { RequestRecord, RunResult } from '../result/schema.ts';
import type { Target } from '../target/target.ts';
import { measureRun } from '../validity/measure-run.ts';
import type { RequestSpec } from '../workload/request.ts';
import { type CountingTokenizer, tokenBytesOf } from '../workload/token-bytes.ts';
import type { WorkloadTokenizer } from '../workload/words.ts';
import { workloadOf } from '../workload/workload.ts';
import { closedLoop } from './closed-loop.ts';
import type { ExpectedTime } from './expected-time.ts';
import { type Ahead, madeAhead } from './load-loop.ts';
import { openLoop } from './open-loop.ts';
import type { RecordSink } from './record-sink.ts';
import { RequestIssuer } from './request-issuer.ts';
import { StopSignal } from './stop-signal.ts';

/** Warm-up requests in flight when the load is an open loop, which has no concurrency of its own. */
const OPEN_WARMUP_CONCURRENCY = 4;
/** Connections opened ahead of an open loop: those of this many milliseconds of arrivals; more open when needed. */
const OPEN_CONNECTIONS_MS = 2_000;
const MOST_OPEN_CONNECTIONS = 256;

/** What a run needs of a tokenizer: prompts are made with it, and answers counted. */
export type RunTokenizer = WorkloadTokenizer & CountingTokenizer;

export interface ExecuteOptions {
  target: Target;
  cell: Cell;
  run: PlannedRun;
  attempt: number;
  nonce: string;
  tokenizer: RunTokenizer;
  slo: Slo | null;
  sink: RecordSink;
  expected: ExpectedTime;
  progress: Progress;
  /** The user stops everything. */
  interrupt: AbortSignal;
}

/** @throws BenchError before anything was measured: an adapter was refused, no connection could be opened */
export async function executeRun(options: ExecuteOptions): Promise<RunResult> {
  const { target, cell, run, sink } = options;
  const startedAt = new Date().toISOString();
  const client = createClient({
    url: target.connection.baseUrl,
    api: target.connection.api,
    model: target.model,
    apiKey: target.connection.apiKey,
    headers: target.connection.headers,
    connections: connectionsFor(cell),
    tokenBytes: tokenBytesOf(options.tokenizer),
  });
  const stop = new StopSignal(options.interrupt, target.died, sink.full);
  const { signal } = stop;
  const records: RequestRecord[] = [];
  let runStart = now();
  let lastIssue = runStart;
  try {
    await stop.orStopped(target.ensureAdapters(cell, signal));
    const workload = workloadOf(cell, { seed: run.seed, nonce: options.nonce, tokenizer: options.tokenizer });
    // Before connections are opened: a server closes those that are idle for some seconds.
    const requests = await madeAhead(workload.measured(), aheadOf(cell), signal);
    if (!signal.aborted) await stop.orStopped(client.connect());
    if (stop.why === 'died') throw new BenchError('TARGET_DIED', await target.died);
    const issuerFor = (onRecord: (record: RequestRecord) => void) =>
      new RequestIssuer({
        client,
        target,
        cell,
        run: `${run.cell}.${run.replicate}`,
        attempt: options.attempt,
        signal,
        onRecord: (record) => {
          sink.append(record);
          onRecord(record);
        },
      });
    await warmUp(workload.warmup(), issuerFor, options, signal);
    await loopTurn(); // what the server has closed meanwhile is known after it
    if (!signal.aborted) await stop.orStopped(client.connect());
    runStart = now();
    lastIssue = runStart;
    if (!signal.aborted) lastIssue = await measure(requests, issuerFor, options, stop, runStart, records);
  } finally {
    await client.close();
    stop.release();
  }
  options.expected.learn(cell, records);
  const runEnd = records.reduce((latest, { end }) => Math.max(latest, end), runStart);
  const numbers = measureRun(records, { cell, slo: options.slo, runStart, lastIssue, runEnd });
  const { seed, order } = run;
  const state = stop.why === null ? 'done' : stop.why === 'interrupted' ? 'interrupted' : 'failed';
  return {
    seed,
    nonce: options.nonce,
    order,
    pair: null,
    arm: null,
    attempt: options.attempt,
    state,
    startedAt,
    ...numbers,
    exact: {},
  };
}

type IssuerFor = (onRecord: (record: RequestRecord) => void) => RequestIssuer;

/** Every adapter and the base once or more, before anything counts: first uses compile, load and cache. */
async function warmUp(
  specs: RequestSpec[],
  issuerFor: IssuerFor,
  options: ExecuteOptions,
  signal: AbortSignal,
): Promise<void> {
  const { cell, progress, expected } = options;
  if (specs.length === 0) return;
  const records: RequestRecord[] = [];
  const issuer = issuerFor((record) => {
    records.push(record);
    progress({ kind: 'warmup', cell, done: records.length, total: specs.length });
  });
  await closedLoop({
    requests: specs.values(),
    issue: (spec) => issuer.issue(spec, now()),
    measure: { requests: specs.length },
    concurrency: cell.load.kind === 'closed' ? cell.load.concurrency : OPEN_WARMUP_CONCURRENCY,
    spreadNs: 0,
    start: now(),
    now,
    signal,
  });
  await issuer.settled();
  expected.learn(cell, records);
  const failed = records.filter(({ outcome }) => outcome === 'failed');
  const [first] = failed;
  if (first !== undefined && !signal.aborted) {
    const who = first.adapter === null ? first.model : `adapter ${first.adapter}`;
    const message = `${cell.id}: ${failed.length} of ${records.length} warm-up requests failed; ${who}: ${first.error} ${first.detail ?? ''}`;
    progress({ kind: 'warning', message: message.trim() });
  }
}

/** @returns when the last request was issued */
async function measure(
  requests: Iterator<RequestSpec>,
  issuerFor: IssuerFor,
  { cell, expected, progress }: ExecuteOptions,
  stop: StopSignal,
  start: number,
  records: RequestRecord[],
): Promise<number> {
  const total = 'requests' in cell.measure ? cell.measure.requests : null;
  const issuer: RequestIssuer = issuerFor((record) => {
    records.push(record);
    progress({ kind: 'request', cell, record, ended: records.length, inFlight: issuer.inFlight, total });
  });
  const { load } = cell;
  let lastIssue = start;
  const loop = {
    requests,
    issue: (spec: RequestSpec, intended: number | null) => {
      lastIssue = now();
      return issuer.issue(spec, intended ?? lastIssue);
    },
    measure: cell.measure,
    start,
    now,
    signal: stop.signal,
  };
  if (load.kind === 'closed') {
    await closedLoop({ ...loop, concurrency: load.concurrency, spreadNs: expected.of(cell) });
  } else {
    await openLoop({ ...loop, drainMs: cell.drainMs, cut: () => stop.cut() });
  }
  await issuer.settled();
  return lastIssue;
}

/** At most what is made before the first request is sent: all of a usual run. A prompt of 4,000 tokens takes 12 ms. */
const MOST_AHEAD: Ahead = { requests: 2_000, characters: 64e6 };

function aheadOf({ measure, load }: Cell): Ahead {
  const rate = load.kind === 'open' ? load.rate : load.concurrency;
  const wanted = 'requests' in measure ? measure.requests : Math.ceil((rate * measure.durationMs) / 1000);
  return { ...MOST_AHEAD, requests: Math.min(MOST_AHEAD.requests, wanted) };
}

/** Sockets are read between two of these. */
async function loopTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise(setImmediate);
}

function connectionsFor({ load }: Cell): number {
  if (load.kind === 'closed') return load.concurrency;
  return Math.min(MOST_OPEN_CONNECTIONS, Math.ceil((load.rate * OPEN_CONNECTIONS_MS) / 1000) + 1);
}
