/**
 * Requests made ahead by the main thread and taken by the threads that measure. In: the workload's requests, in order.
 * Out: each request by its number, in every thread, for as long as somebody may take it.
 *
 * Making a prompt of thousands of tokens takes milliseconds that no thread with streams in it may spend. The main thread
 * makes them, as JSON in shared memory; taking one costs the thread that sends it a copy and a parse.
 */
import type { RequestSpec } from '../workload/request.ts';

/** Requests `from` .. `from + offsets.length - 2`, one behind the other: the k-th lies at bytes offsets[k] .. offsets[k + 1]. */
export interface Batch {
  from: number;
  offsets: Uint32Array<SharedArrayBuffer>;
  bytes: Uint8Array<SharedArrayBuffer>;
}

/** What is made before it is needed: at most so many requests, and no more than fit into so many bytes. */
export interface Ahead {
  requests: number;
  bytes: number;
}

/** At most what is made before the first request is sent: all of a usual run. A prompt of 4,000 tokens takes 12 ms. */
const MOST_AHEAD: Ahead = { requests: 2_000, bytes: 64e6 };
/** How long requests are made at a stretch before the event loop gets a turn. */
const SLICE_MS = 10;

/** The main thread's side: makes requests, and keeps ahead of what has been taken. */
export class Stock {
  readonly #requests: Iterator<RequestSpec>;
  readonly #limit: number;
  readonly #most: Ahead;
  #made = 0;
  /** Bytes a request takes, on average so far. */
  #bytes = 0;
  #ended = false;
  #filling: Promise<void> | null = null;

  /** @param limit requests that will be taken at most; Infinity when a run ends by time */
  constructor(requests: Iterator<RequestSpec>, limit: number, most: Ahead = MOST_AHEAD) {
    this.#requests = requests;
    this.#limit = limit;
    this.#most = most;
  }

  get made(): number {
    return this.#made;
  }

  /** All there will be: how many are never handed out is known once the workload has ended. */
  get complete(): boolean {
    return this.#ended || this.#made >= this.#limit;
  }

  /**
   * Makes requests until as many are ahead of `taken` as should be; `give` gets them in batches. Does nothing while it is
   * at it already.
   */
  fill(taken: () => number, give: (batch: Batch) => void, signal: AbortSignal): Promise<void> {
    this.#filling ??= this.#fill(taken, give, signal).finally(() => {
      this.#filling = null;
    });
    return this.#filling;
  }

  async #fill(taken: () => number, give: (batch: Batch) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#wanted(taken())) {
      const from = this.#made;
      const lines: string[] = [];
      const sliceEnd = performance.now() + SLICE_MS;
      do {
        const next = this.#requests.next();
        if (next.done) {
          this.#ended = true;
          break;
        }
        lines.push(JSON.stringify(next.value));
        this.#made++;
      } while (performance.now() < sliceEnd && this.#wanted(taken()));
      if (lines.length > 0) {
        const batch = batchOf(from, lines);
        this.#bytes += batch.bytes.length;
        give(batch);
      }
      await new Promise(setImmediate);
    }
  }

  #wanted(taken: number): boolean {
    if (this.complete) return false;
    const ahead = this.#made - taken;
    const average = this.#made === 0 ? 0 : this.#bytes / this.#made;
    return ahead < this.#most.requests && ahead * average < this.#most.bytes;
  }
}

function batchOf(from: number, lines: readonly string[]): Batch {
  const lengths = lines.map((line) => Buffer.byteLength(line));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (lines.length + 1)));
  const bytes = new Uint8Array(new SharedArrayBuffer(total));
  const view = Buffer.from(bytes.buffer);
  let at = 0;
  for (const [k, line] of lines.entries()) {
    at += view.write(line, at);
    offsets[k + 1] = at;
  }
  return { from, offsets, bytes };
}

/** A measuring thread's side: what it has been given, and who waits for what it has not. */
export class Shelf {
  readonly #limit: number;
  /** In order. */
  readonly #batches: Batch[] = [];
  readonly #waiting = new Map<number, (spec: RequestSpec | null) => void>();
  #count = 0;
  #complete = false;
  #over = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param needed the lowest number that this thread may still ask for: what lies before is dropped */
  add(batch: Batch, needed: number): void {
    while (this.#batches[0] !== undefined && endOf(this.#batches[0]) <= needed) this.#batches.shift();
    this.#batches.push(batch);
    this.#count = endOf(batch);
    for (const [i, resolve] of this.#waiting) {
      if (i >= this.#count) continue;
      this.#waiting.delete(i);
      resolve(this.#at(i));
    }
  }

  /** Nothing more will come: who waits for more gets null. */
  complete(): void {
    this.#complete = true;
    this.#release();
  }

  /** The run is over or cut: nobody gets anything any more. */
  close(): void {
    this.#over = true;
    this.#release();
  }

  /** Request `i`; null when the run has no such request. */
  get(i: number): RequestSpec | null | Promise<RequestSpec | null> {
    if (this.#over || i >= this.#limit) return null;
    if (i < this.#count) return this.#at(i);
    if (this.#complete) return null;
    return new Promise((resolve) => this.#waiting.set(i, resolve));
  }

  #release(): void {
    for (const resolve of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }

  #at(i: number): RequestSpec {
    const batch = this.#batches.findLast(({ from }) => from <= i);
    if (batch === undefined) throw new Error(`request ${i} was dropped before it was taken`);
    const k = i - batch.from;
    // A copy: text is not decoded from shared memory.
    const line = Buffer.from(batch.bytes.subarray(batch.offsets[k], batch.offsets[k + 1]));
    return JSON.parse(line.toString('utf8')) as RequestSpec;
  }
}

const endOf = ({ from, offsets }: Batch): number => from + offsets.length - 1;
