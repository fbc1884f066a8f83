/**
 * The threads that measure, as the conductor sees them: one client spread over as many threads as its streams need.
 *
 *   begin    every thread gets a client for the run
 *   connect  connections opened ahead, spread over the threads
 *   load     a closed or an open loop, each thread with its part; answers come while it runs
 *   end      the clients are closed; the threads stay for the next run
 *
 * In: a run's client and load. Out: answers, in the order in which they reach this thread; a report when the load is over.
 */
import { Worker } from 'node:worker_threads';
import type { Answer, ClientOptions, SendContext } from '../client/client.ts';
import { clockOrigin, now } from '../client/clock.ts';
import type { Capabilities } from '../client/request-body.ts';
import { BenchError } from '../errors.ts';
import type { RequestRecord } from '../result/schema.ts';
import {
  type Command,
  type FromLoadWorker,
  type LoadPart,
  type LoadReport,
  type LoadWorkerStart,
  type Reply,
  SHARED,
  type SharedCounts,
  type ToLoadWorker,
} from './load-messages.ts';
import { type StampProbe, startStampProbe } from './stamp-probe.ts';
import type { Stock } from './stock.ts';
import type { ThreadHealth } from './thread-monitor.ts';

/** Between the order to begin and the beginning, so that every thread has it in time. */
const NOTICE_NS = 20e6;
/** How often the stock is looked after, beside whenever an answer comes. */
const STOCK_CHECK_MS = 20;

export interface TeamRun {
  client: ClientOptions;
  context: Omit<SendContext, 'intended'>;
  /** Threads that take part. */
  workers: number;
  /** An answer, with what lets the lane that sent it go on where it waits for that. */
  onAnswer: (answer: Answer, goOn: () => void) => void;
}

export interface TeamLoad {
  stock: Stock;
  /** Requests at most; Infinity when the run ends by time. */
  requests: number;
  /** Nothing is issued after so long; Infinity when the run ends by its requests. */
  durationMs: number;
  loop: { kind: 'closed'; concurrency: number; spreadNs: number } | { kind: 'open'; drainMs: number };
  /** Called with the time at which it begins, on the clock of now(). */
  onStart?: (at: number) => void;
}

export interface LoadOutcome {
  start: number;
  lastIssue: number;
  health: ThreadHealth[];
}

export class LoadTeam {
  readonly #probe: StampProbe;
  readonly #threads: Thread[] = [];
  #run: TeamRun | null = null;
  /** Those of the run under way. */
  #active: Thread[] = [];
  #counts: SharedCounts = sharedCounts();
  #stockSignal = new AbortController();

  private constructor(probe: StampProbe) {
    this.#probe = probe;
  }

  static async create(): Promise<LoadTeam> {
    return new LoadTeam(await startStampProbe());
  }

  /** Requests in flight at this moment. */
  get inFlight(): number {
    return Atomics.load(this.#counts, SHARED.inFlight);
  }

  /** Threads that were ever needed. */
  get size(): number {
    return this.#threads.length;
  }

  /** @throws BenchError USAGE when the client cannot be made of what it was given */
  async begin(run: TeamRun): Promise<void> {
    while (this.#threads.length < run.workers) {
      const { port } = this.#probe;
      this.#threads.push(await Thread.start(port, (answer, goOn) => this.#run?.onAnswer(answer, goOn)));
    }
    this.#run = run;
    this.#active = this.#threads.slice(0, run.workers);
    await this.#all(() => ({ kind: 'begin', client: run.client, context: run.context }));
  }

  /** @throws BenchError TARGET_UNREACHABLE, UNSUPPORTED (a limit of this machine) */
  async connect(count: number): Promise<void> {
    const threads = this.#active.length;
    await this.#all((index) => ({ kind: 'connect', count: Math.floor((count + threads - 1 - index) / threads) }));
  }

  /** Makes requests of the load ahead, as many as are wanted before it begins. */
  async stockUp(stock: Stock, signal: AbortSignal): Promise<PreparedStock> {
    const batches: PreparedStock = [];
    await stock.fill(
      () => 0,
      (batch) => batches.push(batch),
      signal,
    );
    return batches;
  }

  /**
   * Resolves when every request of the load has ended.
   * @throws whatever kept the stock from making a request
   */
  async load(load: TeamLoad, prepared: PreparedStock): Promise<LoadOutcome> {
    const counts = sharedCounts();
    this.#counts = counts;
    this.#stockSignal = new AbortController();
    const { stock } = load;
    const start = now() + NOTICE_NS;
    load.onStart?.(start);
    const reports = this.#all((index) => ({ kind: 'load', part: this.#part(load, start, counts, index) }));
    const give = (batch: PreparedStock[number]) => this.#tell({ kind: 'stock', batch });
    prepared.forEach(give);
    let told = false;
    let noPrompt: unknown = null;
    const restock = () => {
      void stock
        .fill(() => Atomics.load(counts, SHARED.taken), give, this.#stockSignal.signal)
        .then(
          () => {
            if (!stock.complete || told) return;
            told = true;
            this.#tell({ kind: 'stocked' });
          },
          (cause: unknown) => {
            noPrompt ??= cause;
            this.cut();
          },
        );
    };
    restock();
    const timer = setInterval(restock, STOCK_CHECK_MS);
    this.#probe.start();
    try {
      const done = (await reports) as LoadReport[];
      if (noPrompt !== null) throw noPrompt;
      const lastIssue = Math.max(start, ...done.flatMap((report) => report.lastIssue ?? []));
      return { start, lastIssue, health: done.map(({ health }) => health) };
    } finally {
      this.#probe.pause();
      clearInterval(timer);
      this.#stockSignal.abort();
    }
  }

  /** What one thread has found out about the server is known to all. */
  async shareKnowledge(): Promise<Capabilities> {
    const known = (await this.#all(() => ({ kind: 'learn', refused: null }))) as Capabilities[];
    for (const refused of known) await this.#all(() => ({ kind: 'learn', refused }));
    return ((await this.#all(() => ({ kind: 'learn', refused: null }))) as Capabilities[])[0]!;
  }

  /** Requests in flight end as cancelled; the load under way ends soon. */
  cut(): void {
    this.#stockSignal.abort();
    this.#tell({ kind: 'cut' });
  }

  async end(): Promise<void> {
    await this.#all(() => ({ kind: 'end' }));
    this.#run = null;
    this.#active = [];
  }

  /** Ends the threads, whatever they are at. */
  async close(): Promise<void> {
    this.#probe.close();
    await Promise.all(this.#threads.map((thread) => thread.close()));
    this.#threads.length = 0;
  }

  #part({ requests, durationMs, loop }: TeamLoad, start: number, counts: SharedCounts, index: number): LoadPart {
    const threads = this.#active.length;
    const common = { counts, limit: requests, start, until: start + durationMs * 1e6 };
    if (loop.kind === 'open') {
      return { ...common, loop: { kind: 'open', offset: index, stride: threads, drainMs: loop.drainMs } };
    }
    const { concurrency, spreadNs } = loop;
    const lanes = Array.from({ length: Math.min(concurrency, requests) }, (_, lane) => lane);
    const own = lanes.filter((lane) => lane % threads === index);
    return { ...common, loop: { kind: 'closed', lanes: own, concurrency, spreadNs } };
  }

  #all(command: (index: number) => Command): Promise<Reply[]> {
    return Promise.all(this.#active.map((thread, index) => thread.ask(command(index))));
  }

  #tell(message: ToLoadWorker): void {
    for (const thread of this.#active) thread.tell(message);
  }
}

export type PreparedStock = Parameters<Parameters<Stock['fill']>[1]>[0][];

const sharedCounts = (): SharedCounts => new Int32Array(new SharedArrayBuffer(4 * SHARED.length));

/** One thread, and the commands that it has not answered yet. */
class Thread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve: (value: Reply) => void; reject: (error: Error) => void }>();
  #commands = 0;
  #failure: Error | null = null;
  #closing = false;

  private constructor(worker: Worker, onAnswer: TeamRun['onAnswer'], ready: () => void) {
    this.#worker = worker;
    worker.on('message', (message: FromLoadWorker) => {
      switch (message.kind) {
        case 'ready':
          ready();
          break;
        case 'reply':
          this.#settle(message.id)?.resolve(message.value);
          break;
        case 'failure': {
          const { code, message: words, hint } = message.error;
          this.#settle(message.id)?.reject(new BenchError(code, words, hint === undefined ? {} : { hint }));
          break;
        }
        case 'answer': {
          const { record, uncounted, holds } = message;
          const goOn = () => holds !== null && this.tell({ kind: 'go-on', answer: holds });
          onAnswer({ record: JSON.parse(record) as RequestRecord, uncounted }, goOn);
          break;
        }
      }
    });
    worker.on('error', (cause) => this.fail(cause));
    worker.on('exit', (code) => {
      if (!this.#closing) this.fail(new Error(`a measuring thread ended with ${code}`));
    });
  }

  static start(probePort: number, onAnswer: TeamRun['onAnswer']): Promise<Thread> {
    // From sources (tests) the built worker is used: Node 20 runs no TypeScript.
    const here = import.meta.url.replace(/\/src\/runner\/load-team\.ts$/, '/dist/src/runner/load-team.js');
    const start: LoadWorkerStart = { clockOrigin, probePort };
    const worker = new Worker(new URL('./load-worker.js', here), { workerData: start });
    return new Promise((resolve, reject) => {
      const thread = new Thread(worker, onAnswer, () => resolve(thread));
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new BenchError('BUG', `a measuring thread ended with ${code} as it began`)));
    });
  }

  ask(command: Command): Promise<Reply> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#commands++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.tell({ kind: 'command', id, command });
    });
  }

  tell(message: ToLoadWorker): void {
    this.#worker.postMessage(message);
  }

  /** A fault of ours: whoever waits for this thread is told, and whoever asks it later. */
  fail(cause: Error): void {
    this.#failure ??= new BenchError('BUG', `a measuring thread failed: ${cause.stack ?? cause.message}`, { cause });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#worker.terminate();
  }

  #settle(id: number) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
