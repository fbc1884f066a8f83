/**
 * From answers to records, on the main thread: tokens counted where the server does not, names corrected where the server
 * died, each record handed on exactly once.
 *
 * A connection that breaks is first held against the server (`target.suspect`): a request that a dying server took along
 * is `target_died`, not the reset it looked like. The lane that sent it goes on meanwhile, or the load would fall just when
 * the server has faults; only one that met nobody at all is let go when the check is over.
 */
import type { TokenBytes } from '../client/chunk-tokens.ts';
import { type Answer, counted } from '../client/client.ts';
import type { RequestError, RequestRecord } from '../result/schema.ts';
import type { Target } from '../target/target.ts';

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

export interface AnswersOptions {
  target: Pick<Target, 'died' | 'suspect'>;
  /** Cuts a text into tokens, for servers that don't count per chunk. */
  tokenBytes: TokenBytes | null;
  onRecord: (record: RequestRecord) => void;
}

export class Answers {
  readonly #options: AnswersOptions;
  readonly #unsettled = new Set<Promise<void>>();
  #death: string | null = null;
  /** The check under way, and the one that begins after it. */
  #check: Promise<unknown> = Promise.resolve();
  #nextCheck: Promise<unknown> | null = null;
  /** One answer's tokens after the other's: counting many at once would only keep all of them in memory. */
  #counting: Promise<unknown> = Promise.resolve();

  constructor(options: AnswersOptions) {
    this.#options = options;
    void options.target.died.then((sentence) => {
      this.#death = sentence;
    });
  }

  /** @param goOn lets the lane that sent it go on, where it waits */
  take(answer: Answer, goOn: () => void): void {
    const recorded = this.#record(answer).finally(goOn);
    this.#unsettled.add(recorded);
    recorded.then(
      () => this.#unsettled.delete(recorded),
      () => {}, // stays, so that settled() throws what went wrong
    );
  }

  /** Resolves when every answer has its record. */
  async settled(): Promise<void> {
    await Promise.all(this.#unsettled);
  }

  async #record(answer: Answer): Promise<void> {
    const record = answer.uncounted === null ? answer.record : await this.#counted(answer);
    if (record.error !== null && SUSPICIOUS.has(record.error)) await this.#suspect();
    const dead = this.#death;
    this.#options.onRecord(dead === null || record.outcome === 'ok' ? record : died(record, dead));
  }

  #counted(answer: Answer): Promise<RequestRecord> {
    const record = this.#counting.then(() => counted(answer, this.#options.tokenBytes));
    this.#counting = record.catch(() => {}); // `record` tells; the next answer's turn comes all the same
    return record;
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
