/**
 * A thread that measures: sends its part of a run's load, stamps what comes back, and does nothing else.
 *
 * In: commands and stock of the main thread (load-messages.ts). Out: answers as they end. Tokens are counted, records
 * written and numbers made on the main thread: whatever a thread does beside reading sockets, its stamps wait for.
 */
import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { type Answer, type Client, type ClientOptions, createClient, type SendContext } from '../client/client.ts';
import { now } from '../client/clock.ts';
import { BenchError } from '../errors.ts';
import type { RequestError } from '../result/schema.ts';
import type { RequestSpec } from '../workload/request.ts';
import { closedLoop } from './closed-loop.ts';
import {
  type Command,
  type FromLoadWorker,
  type LoadPart,
  type LoadReport,
  type LoadWorkerStart,
  type Reply,
  SHARED,
  type ToLoadWorker,
} from './load-messages.ts';
import { openLoop } from './open-loop.ts';
import { type Batch, Shelf } from './stock.ts';
import { ThreadMonitor } from './thread-monitor.ts';

/**
 * Nothing reached a server, and that was known at once. Going on right away would be no load on anybody, and would spend
 * all requests of a run in the moment between a server's end and its discovery: here a lane waits for the check.
 */
const NOBODY_THERE: ReadonlySet<RequestError> = new Set<RequestError>(['connect_refused', 'connect_failed']);

const port = parentPort!;
const { probePort } = workerData as LoadWorkerStart;
const monitor = new ThreadMonitor(probePort);
const say = (message: FromLoadWorker) => port.postMessage(message);

let client: Client | null = null;
let context: Omit<SendContext, 'intended'> | null = null;
let load: Load | null = null;
let cut = new AbortController();
const held = new Map<number, () => void>();
let answers = 0;

port.on('message', (message: ToLoadWorker) => {
  switch (message.kind) {
    case 'command':
      void obey(message.id, message.command);
      break;
    case 'stock':
      load?.add(message.batch);
      break;
    case 'stocked':
      load?.shelf.complete();
      break;
    case 'go-on':
      held.get(message.answer)?.();
      held.delete(message.answer);
      break;
    case 'cut':
      cut.abort();
      break;
  }
});
await monitor.ready;
say({ kind: 'ready' });

async function obey(id: number, command: Command): Promise<void> {
  try {
    say({ kind: 'reply', id, value: await done(command) });
  } catch (error) {
    const known = error instanceof BenchError;
    const message = known ? error.message : ((error as Error).stack ?? String(error));
    say({
      kind: 'failure',
      id,
      error: { code: known ? error.code : 'BUG', message, hint: known ? error.hint : undefined },
    });
  }
}

async function done(command: Command): Promise<Reply> {
  switch (command.kind) {
    case 'begin':
      begin(command.client, command.context);
      return null;
    case 'connect':
      await client!.connect(command.count);
      return null;
    case 'load':
      load = new Load(command.part);
      return load.run();
    case 'learn':
      if (command.refused !== null) client!.learn(command.refused);
      return client!.can;
    case 'end':
      await client?.close();
      client = null;
      return null;
  }
}

function begin(options: ClientOptions, next: Omit<SendContext, 'intended'>): void {
  client = createClient(options);
  context = next;
  cut = new AbortController();
  held.clear();
}

/** One load: the loop over this thread's part of the requests. */
class Load {
  readonly shelf: Shelf;
  readonly #part: LoadPart;
  /** Ends with the run, or with an open loop's drain. */
  readonly #over = new AbortController();
  #lastIssue: number | null = null;
  /** The next number of an open loop. */
  #next: number;

  constructor(part: LoadPart) {
    this.#part = part;
    this.shelf = new Shelf(part.limit);
    this.#next = part.loop.kind === 'open' ? part.loop.offset : 0;
    setMaxListeners(0, this.#over.signal); // every request in flight and every lane listens
    if (cut.signal.aborted) this.#end();
    else cut.signal.addEventListener('abort', this.#end, { once: true });
  }

  add(batch: Batch): void {
    const { counts, loop } = this.#part;
    this.shelf.add(batch, loop.kind === 'open' ? this.#next : Atomics.load(counts, SHARED.taken));
  }

  async run(): Promise<LoadReport> {
    const { loop, start, until } = this.#part;
    const common = {
      next: () => this.#take(),
      issue: (spec: RequestSpec, intended: number | null) => this.#issue(spec, intended),
      start,
      until,
      now,
      signal: this.#over.signal,
    };
    monitor.start();
    if (loop.kind === 'closed') await closedLoop({ ...common, ...loop });
    else await openLoop({ ...common, drainMs: loop.drainMs, cut: this.#end });
    const health = monitor.stop();
    cut.signal.removeEventListener('abort', this.#end);
    return { lastIssue: this.#lastIssue, health };
  }

  #end = (): void => {
    this.#over.abort();
    this.shelf.close();
    // Whoever waits to be told whether the server lives goes on, and finds the load over.
    for (const goOn of held.values()) goOn();
    held.clear();
  };

  #take(): RequestSpec | null | Promise<RequestSpec | null> {
    const { counts, loop } = this.#part;
    const taken = Atomics.add(counts, SHARED.taken, 1);
    if (loop.kind === 'closed') return this.shelf.get(taken);
    const own = this.#next;
    this.#next += loop.stride;
    return this.shelf.get(own);
  }

  async #issue(spec: RequestSpec, intended: number | null): Promise<void> {
    const { counts } = this.#part;
    const at = now();
    this.#lastIssue = at;
    Atomics.add(counts, SHARED.inFlight, 1);
    const answer = await client!.send(spec, { ...context!, intended: intended ?? at }, this.#over.signal);
    Atomics.sub(counts, SHARED.inFlight, 1);
    await tell(answer);
  }
}

/** Hands an answer on; resolves when the lane may go on. */
async function tell({ record, uncounted }: Answer): Promise<void> {
  const waits = record.error !== null && NOBODY_THERE.has(record.error) && !cut.signal.aborted;
  const holds = waits ? answers++ : null;
  say({ kind: 'answer', record: JSON.stringify(record), uncounted, holds });
  if (holds !== null) await new Promise<void>((resolve) => held.set(holds, resolve));
}
