/**
 * Issues requests for one run: sends, waits for the record, corrects its name when the server died under it, hands it on.
 *
 * In: specs from a loop. Out: records, each exactly once, to `onRecord`. A connection that breaks is first held against
 * the server (`target.suspect`): a request that a dying server took along is `target_died`, not the reset it looked like.
 */
import type { Client } from '../client/client.ts';
import type { Cell } from '../plan/plan.ts';
import type { RequestError, RequestRecord } from '../result/schema.ts';
import type { Target } from '../target/target.ts';
import type { RequestSpec } from '../workload/request.ts';

/** Errors that a server's end looks like from outside. */
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
  #death: string | null = null;
  #inFlight = 0;

  constructor(options: IssuerOptions) {
    this.#options = options;
    void options.target.died.then((sentence) => {
      this.#death = sentence;
    });
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  async issue(spec: RequestSpec, intended: number): Promise<void> {
    const { client, cell, run, attempt, signal, onRecord, target } = this.#options;
    const { temperature, extraBody, timeoutMs } = cell.request;
    this.#inFlight++;
    const record = await client.send(spec, { run, attempt, intended, temperature, extraBody, timeoutMs }, signal);
    this.#inFlight--;
    if (record.error !== null && SUSPICIOUS.has(record.error)) await target.suspect();
    onRecord(this.#death === null || record.outcome === 'ok' ? record : died(record, this.#death));
  }
}

function died(record: RequestRecord, sentence: string): RequestRecord {
  return { ...record, outcome: 'failed', error: 'target_died', detail: (record.detail ?? sentence).slice(0, 300) };
}
