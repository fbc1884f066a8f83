/**
 * Issues requests for one run: sends, waits for the record, corrects its name when the server died under it, hands it on.
 *
 * In: specs from a loop. Out: records, each exactly once, to `onRecord`. A connection that breaks is first held against
 * the server (`target.suspect`): a request that a dying server took along is `target_died`, not the reset it looked like.
 *
 * A loop waits for its request alone: neither for that check nor for tokens to be counted, or the load would fall just
 * when the server has faults. `settled` waits for what is still on its way to the record.
 */
import type { Client } from '../client/client.ts';
import type { Cell } from '../plan/plan.ts';
import type { RequestError, RequestRecord } from '../result/schema.ts';
import type { Target } from '../target/target.ts';
import type { RequestSpec } from '../workload/request.ts';

/** Errors that a server's end looks like from outside. `client_limit` is none: that is this machine's. */
const SUSPICIOUS: ReadonlySet<RequestError> = new Set<RequestError>([
  'connect_refused',
  'connect_failed',
  'connect_timeout',
  'reset_before_headers',
  'reset_mid_stream',
  'ended_early',
  'no_content',
  'error_in_stream',
]);

/**
 * Nothing reached a server, and that was known at once. Going on right away would be no load on anybody, and would spend
 * all requests of a run in the moment between a server's end and its discovery: here a loop waits for the check.
 */
const NOBODY_THERE: ReadonlySet<RequestError> = new Set<RequestError>(['connect_refused', 'connect_failed']);

export interface IssuerOptions {
  client: Client;
  target: Target;
  cell: Cell;
  /** Such as "c3.0". */
  run: string;
  attempt: number;
  /** Cuts requests in flight: the server died, the drain is over, the user stopped it, the disk is full. */
  signal: AbortSignal;
  onRecord: (record: RequestRecord) => void;
}

export class RequestIssuer {
  readonly #options: IssuerOptions;
  readonly #unsettled = new Set<Promise<void>>();
  #death: string | null = null;
  #inFlight = 0;
  /** The check under way, and the one that begins after it. */
  #check: Promise<unknown> = Promise.resolve();
  #nextCheck: Promise<unknown> | null = null;

  constructor(options: IssuerOptions) {
    this.#options = options;
    void options.target.died.then((sentence) => {
      this.#death = sentence;
    });
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Resolves when the request is over; its record may follow a little later. */
  async issue(spec: RequestSpec, intended: number): Promise<void> {
    const { client, cell, run, attempt, signal } = this.#options;
    const { temperature, extraBody, timeoutMs } = cell.request;
    const context = { run, attempt, intended, temperature, extraBody, timeoutMs };
    this.#inFlight++;
    let recorded: Promise<void> = Promise.resolve();
    const error = await new Promise<RequestError | null>((over, fail) => {
      recorded = client.send(spec, context, signal, over).then((record) => this.#record(record));
      recorded.catch(fail);
    });
    this.#inFlight--;
    this.#unsettled.add(recorded);
    recorded.then(
      () => this.#unsettled.delete(recorded),
      () => {}, // stays, so that settled() throws what went wrong
    );
    if (error !== null && NOBODY_THERE.has(error)) await recorded;
  }

  /** Resolves when every request that is over has its record. */
  async settled(): Promise<void> {
    await Promise.all(this.#unsettled);
  }

  async #record(record: RequestRecord): Promise<void> {
    if (record.error !== null && SUSPICIOUS.has(record.error)) await this.#suspect();
    const dead = this.#death;
    this.#options.onRecord(dead === null || record.outcome === 'ok' ? record : died(record, dead));
  }

  /**
   * One check at a time, however many requests fail. A failure that comes during a check waits for the next one: what the
   * server was asked before says nothing of it.
   */
  #suspect(): Promise<unknown> {
    this.#nextCheck ??= this.#check.then(() => {
      this.#nextCheck = null;
      this.#check = this.#options.target.suspect();
      return this.#check;
    });
    return this.#nextCheck;
  }
}

function died(record: RequestRecord, sentence: string): RequestRecord {
  return { ...record, outcome: 'failed', error: 'target_died', detail: (record.detail ?? sentence).slice(0, 300) };
}
