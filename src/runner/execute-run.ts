/**
 * One run of one cell: adapters in place, prompts made, connections open, warm-up, then the load, then the numbers.
 *
 * In: a target that is up, the cell, what to stop on. Out: a RunResult, also when the run was cut short: what was measured
 * until then counts. Records go to the sink as their requests end.
 */
import { now } from '../client/clock.ts';
import { wordsOfRefused } from '../client/request-body.ts';
import { BenchError } from '../errors.ts';
import type { Cell, PlannedRun, Slo } from '../plan/plan.ts';
import { kept } from '../recorder/kept-record.ts';
import { runName } from '../result/arms.ts';
import type { Progress } from '../result/progress.ts';
import type { ClientHealth, RequestRecord, RunResult, SelfCheck } from '../result/schema.ts';
import { injectedDelayWords } from '../target/injected-delay.ts';
import { type ServerMetrics, sampleServerMetrics, serverTimeline } from '../target/server-metrics.ts';
import type { Target } from '../target/target.ts';
import { measureRun } from '../validity/measure-run.ts';
import type { RequestSpec } from '../workload/request.ts';
import { type CountingTokenizer, tokenBytesOf } from '../workload/token-bytes.ts';
import type { WorkloadTokenizer } from '../workload/words.ts';
import { workloadOf } from '../workload/workload.ts';
import { Answers } from './answers.ts';
import { clientHealthOf } from './client-health.ts';
import type { Expectation } from './expected-time.ts';
import type { LoadTeam, PreparedStock, TeamLoad } from './load-team.ts';
import type { RecordSink } from './record-sink.ts';
import { Stock } from './stock.ts';
import { StopSignal } from './stop-signal.ts';
import { type WorkersOption, workersFor } from './workers.ts';

/** Warm-up requests in flight when the load is an open loop, which has no concurrency of its own. */
const OPEN_WARMUP_CONCURRENCY = 4;
/** Connections opened ahead of an open loop: those of this many milliseconds of arrivals; more open when needed. */
const OPEN_CONNECTIONS_MS = 2_000;
const MOST_OPEN_CONNECTIONS = 256;

/** How long requests are made ahead of a run that ends by time: how many it will take is not known. */
const MOST_AHEAD_MS = 5_000;

/** What a run needs of a tokenizer: prompts are made with it, and answers counted. */
export type RunTokenizer = WorkloadTokenizer & CountingTokenizer;

export interface ExecuteOptions {
  team: LoadTeam;
  workers: WorkersOption;
  target: Target;
  cell: Cell;
  run: PlannedRun;
  attempt: number;
  nonce: string;
  tokenizer: RunTokenizer;
  slo: Slo | null;
  /** What the client adds to times at the plan's highest load, where that is known. */
  selfCheck: SelfCheck | null;
  sink: RecordSink;
  expected: Expectation;
  progress: Progress;
  /** Told what the reader of the result must know of the server; the same more than once. */
  note: (warning: string) => void;
  /** The user stops everything. */
  interrupt: AbortSignal;
}

/** @throws BenchError before anything was measured: an adapter was refused, no connection could be opened */
export async function executeRun(options: ExecuteOptions): Promise<RunResult> {
  const { team, target, cell, run } = options;
  const startedAt = new Date().toISOString();
  const slowed = injectedDelayWords(target.info);
  if (slowed !== null) options.note(slowed);
  const stop = new StopSignal(options.interrupt, target.died, options.sink.full);
  const { signal } = stop;
  const desk = new Desk(options);
  const measured: Measured = { records: [], start: now(), lastIssue: now(), health: null };
  let metrics: ServerMetrics | null = null;
  try {
    await team.begin({
      client: clientOf(target),
      context: { run: runName(run.cell, run.replicate, run.arm), attempt: options.attempt, ...cell.request },
      workers: workersFor(cell, options.workers, options.expected.of(cell)),
      onAnswer: (answer, goOn) => desk.take(answer, goOn),
    });
    signal.addEventListener('abort', () => team.cut(), { once: true });
    await stop.orStopped(target.ensureAdapters(cell, signal));
    const workload = workloadOf(cell, { seed: run.seed, nonce: options.nonce, tokenizer: options.tokenizer });
    // Before connections are opened: a server closes those that are idle for some seconds.
    const stock = new Stock(workload.measured(), limitOf(cell));
    const enough = limitOf(cell) === Infinity ? AbortSignal.any([signal, AbortSignal.timeout(MOST_AHEAD_MS)]) : signal;
    const prepared = await team.stockUp(stock, enough);
    if (!signal.aborted) await stop.orStopped(team.connect(connectionsFor(cell)));
    if (stop.why === 'died') throw new BenchError('TARGET_DIED', await target.died);
    if (!signal.aborted) metrics = sampleServerMetrics({ connection: target.connection, signal });
    const warmup = workload.warmup();
    if (!signal.aborted && warmup.length > 0) await warmUp(warmup, desk, options, signal);
    await loopTurn(); // what the server has closed meanwhile is known after it
    if (!signal.aborted) await stop.orStopped(team.connect(connectionsFor(cell)));
    if (!signal.aborted) await target.profiler?.begin();
    measured.start = now();
    measured.lastIssue = measured.start;
    if (!signal.aborted) {
      await measure({ stock, prepared }, desk, options, measured);
      for (const words of wordsOfRefused(await team.shareKnowledge())) options.note(words);
    }
  } finally {
    stop.release();
    await Promise.all([team.end(), metrics?.stop()]);
  }
  options.expected.learn(cell, measured.records);
  const { records, start, lastIssue } = measured;
  const runEnd = records.reduce((latest, { end }) => Math.max(latest, end), start);
  const context = { cell, slo: options.slo, runStart: start, lastIssue, runEnd };
  const { selfCheck } = options;
  const numbers = measureRun(records, context, { health: measured.health, selfCheck });
  const samples = (await metrics?.stop()) ?? null;
  if (samples?.reason != null) options.note(`the server's metrics could not be read on: ${samples.reason}`);
  const profile = (await target.profiler?.read()) ?? null;
  const { timeline } = numbers;
  const server = serverTimeline(samples, start, timeline.stepMs, timeline.inFlight.length);
  const { seed, order, replicate } = run;
  const state = stop.why === null ? 'done' : stop.why === 'interrupted' ? 'interrupted' : 'failed';
  return {
    replicate,
    seed,
    nonce: options.nonce,
    order,
    pair: run.arm === undefined ? null : replicate,
    arm: run.arm ?? null,
    attempt: options.attempt,
    state,
    startedAt,
    ...numbers,
    timeline: { ...timeline, ...(server === undefined ? {} : { server }) },
    client: measured.health,
    exact: {},
    ...(profile === null ? {} : { profile }),
  };
}

interface Measured {
  records: RequestRecord[];
  start: number;
  lastIssue: number;
  health: ClientHealth | null;
}

const clientOf = ({ connection, model }: Target) => ({
  url: connection.baseUrl,
  api: connection.api,
  model,
  adapterField: connection.adapterField ?? 'model',
  apiKey: connection.apiKey,
  headers: connection.headers,
});

/** Takes the answers of a run: first those of the warm-up, then those that are measured. */
class Desk {
  readonly #options: ExecuteOptions;
  readonly #tokenBytes;
  #answers: Answers | null = null;

  constructor(options: ExecuteOptions) {
    this.#options = options;
    this.#tokenBytes = tokenBytesOf(options.tokenizer);
  }

  open(onRecord: (record: RequestRecord) => void): Answers {
    const { target, sink } = this.#options;
    this.#answers = new Answers({
      target,
      tokenBytes: this.#tokenBytes,
      onRecord: (record) => {
        sink.append(record);
        onRecord(record);
      },
    });
    return this.#answers;
  }

  take(...answer: Parameters<Answers['take']>): void {
    this.#answers?.take(...answer);
  }
}

/** Every adapter and the base once or more, before anything counts: first uses compile, load and cache. */
async function warmUp(
  specs: readonly RequestSpec[],
  desk: Desk,
  { team, cell, progress, expected }: ExecuteOptions,
  signal: AbortSignal,
): Promise<void> {
  const records: RequestRecord[] = [];
  const answers = desk.open((record) => {
    records.push(record);
    progress({ kind: 'warmup', cell, done: records.length, total: specs.length });
  });
  const stock = new Stock(specs.values(), specs.length);
  const concurrency = cell.load.kind === 'closed' ? cell.load.concurrency : OPEN_WARMUP_CONCURRENCY;
  await team.load(
    { stock, requests: specs.length, durationMs: Infinity, loop: { kind: 'closed', concurrency, spreadNs: 0 } },
    await team.stockUp(stock, signal),
  );
  await answers.settled();
  await team.shareKnowledge();
  expected.learn(cell, records);
  const failed = records.filter(({ outcome }) => outcome === 'failed');
  const [first] = failed;
  if (first !== undefined && !signal.aborted) {
    const who = first.adapter === null ? first.model : `adapter ${first.adapter}`;
    const message = `${cell.id}: ${failed.length} of ${records.length} warm-up requests failed; ${who}: ${first.error} ${first.detail ?? ''}`;
    progress({ kind: 'warning', message: message.trim() });
  }
}

async function measure(
  { stock, prepared }: { stock: Stock; prepared: PreparedStock },
  desk: Desk,
  { team, cell, expected, progress }: ExecuteOptions,
  measured: Measured,
): Promise<void> {
  const { records } = measured;
  const total = 'requests' in cell.measure ? cell.measure.requests : null;
  const answers = desk.open((record) => {
    records.push(kept(record));
    progress({ kind: 'request', cell, record, ended: records.length, inFlight: team.inFlight, total });
  });
  const outcome = await team.load(
    {
      stock,
      requests: limitOf(cell),
      durationMs: 'durationMs' in cell.measure ? cell.measure.durationMs : Infinity,
      loop: loopOf(cell, expected),
    },
    prepared,
  );
  measured.start = outcome.start;
  measured.lastIssue = outcome.lastIssue;
  measured.health = clientHealthOf(outcome.health);
  await answers.settled();
}

function loopOf({ load, drainMs, ...cell }: Cell, expected: Expectation): TeamLoad['loop'] {
  if (load.kind === 'open') return { kind: 'open', drainMs };
  const { concurrency } = load;
  return { kind: 'closed', concurrency, spreadNs: expected.of({ load, drainMs, ...cell }) };
}

const limitOf = ({ measure }: Cell): number => ('requests' in measure ? measure.requests : Infinity);

/** Sockets are read between two of these. */
async function loopTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise(setImmediate);
}

function connectionsFor({ load }: Cell): number {
  if (load.kind === 'closed') return load.concurrency;
  return Math.min(MOST_OPEN_CONNECTIONS, Math.ceil((load.rate * OPEN_CONNECTIONS_MS) / 1000) + 1);
}
