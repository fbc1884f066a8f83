/**
 * One try at one request: on the wire, timed, and named when it fails.
 *
 * In: the request, its timeouts, a signal. Out: an Outcome, always; an exchange never throws. Phases follow one another
 * (connecting, sent, headers, content), each with its own limit, so that a timeout names what the server failed to do.
 *
 * An answer is whole at [DONE], and that is when the exchange ended; its connection gets DONE_GRACE_MS to end the body, so
 * that it can be used again, and is dropped if it doesn't. Without [DONE] the end of the body counts. A status that says
 * no names the outcome, whatever becomes of its body.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestError } from '../result/schema.ts';
import { now } from './clock.ts';
import type { Dialect } from './dialects/dialect.ts';
import { errorOfFailure, errorOfStatus, type Phase, TIMEOUT_OF_PHASE, wordsOfFailure } from './failures.ts';
import { PlainBody } from './plain-body.ts';
import { type OptionalField, refusedFields } from './refusals.ts';
import { SseParser } from './sse.ts';
import { StreamReader } from './stream-reader.ts';
import { DONE_GRACE_MS, ERROR_BODY_MS, type Timeouts } from './timeouts.ts';
import type { ExchangeHandler, OutgoingRequest, Transport } from './transport.ts';

export interface Outcome {
  sent: number;
  firstByte: number | null;
  end: number;
  /** null when no headers came. */
  status: number | null;
  stream: StreamReader;
  cancelled: boolean;
  error: RequestError | null;
  /** In full, secrets included: redact before it is kept. */
  detail: string | null;
  /** Fields that the server says it does not take. */
  refused: OptionalField[];
}

/** Statuses by which servers refuse a request for its fields. */
const ABOUT_FIELDS = new Set([400, 422]);

export const exchange = (
  transport: Transport,
  request: OutgoingRequest,
  dialect: Dialect,
  timeouts: Timeouts,
  signal: AbortSignal | undefined,
): Promise<Outcome> =>
  new Promise((resolve) => new Exchange(dialect, timeouts, signal, resolve).start(transport, request));

/** How an exchange ended. */
type End = Pick<Outcome, 'end' | 'error' | 'detail'>;

class Exchange implements ExchangeHandler {
  readonly #timeouts: Timeouts;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #stream: StreamReader;
  readonly #parser: SseParser;
  readonly #plain = new PlainBody();
  #phase: Phase = 'connecting';
  #sent = now();
  #firstByte: number | null = null;
  #status: number | null = null;
  #retryAfter: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #giveUp: () => void = () => {};

  constructor(
    dialect: Dialect,
    timeouts: Timeouts,
    signal: AbortSignal | undefined,
    resolve: (outcome: Outcome) => void,
  ) {
    this.#timeouts = timeouts;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#stream = new StreamReader(dialect);
    this.#parser = new SseParser((data, at, type) => this.#stream.event(data, at, type));
  }

  start(transport: Transport, request: OutgoingRequest): void {
    if (this.#signal?.aborted === true) {
      this.#cancel();
      return;
    }
    this.#signal?.addEventListener('abort', this.#cancel, { once: true });
    this.#enter('connecting', this.#sent, this.#timeouts.connectMs);
    this.#giveUp = transport.dispatch(request, this);
  }

  repeated(at: number): void {
    if (!this.#over) this.#enter('connecting', at, this.#timeouts.connectMs);
  }

  sent(at: number): void {
    this.#sent = at;
    this.#enter('sent', at, this.#timeouts.headersMs);
  }

  headers(status: number, at: number, fields: IncomingHttpHeaders): void {
    this.#status = status;
    this.#retryAfter = secondsOf(fields['retry-after']);
    if (status === 200) this.#enter('headers', this.#sent, this.#timeouts.firstContentMs);
    else this.#wait(at, ERROR_BODY_MS, (end) => this.#refusal(status, end));
  }

  data(bytes: Buffer, at: number): void {
    this.#firstByte ??= at;
    if (this.#status !== 200 || this.#stream.events === 0) this.#plain.add(bytes);
    if (this.#status === 200) this.#read(bytes, at);
    else if (this.#plain.full) this.#drop(this.#refusal(this.#status!, at));
  }

  end(at: number): void {
    if (this.#status === 200) this.#parser.end(at);
    this.#finish(this.#known(at) ?? this.#endOfBody(at));
  }

  error(failure: Error, at: number): void {
    const failed = { end: at, error: errorOfFailure(failure, this.#phase), detail: wordsOfFailure(failure) };
    this.#finish(this.#known(at) ?? failed);
  }

  #read(bytes: Buffer, at: number): void {
    const stream = this.#stream;
    if (stream.done) return; // what follows [DONE] is none of ours
    try {
      this.#parser.push(bytes, at);
    } catch (cause) {
      stream.fault ??= { error: 'bad_body', detail: (cause as Error).message };
    }
    const known = this.#known(at);
    if (stream.fault !== null) this.#drop(known!);
    else if (known !== null) this.#wait(at, DONE_GRACE_MS, () => known);
    else if (this.#phase === 'headers' && stream.chunks.length > 0) {
      this.#enter('content', this.#sent, this.#timeouts.totalMs);
    }
  }

  /** How it ends, whatever comes now; null while that is open. */
  #known(at: number): End | null {
    if (this.#status !== null && this.#status !== 200) return this.#refusal(this.#status, at);
    const { doneAt, fault } = this.#stream;
    if (fault !== null) return { end: at, ...fault };
    return doneAt === null ? null : { end: doneAt, error: null, detail: null };
  }

  #refusal(status: number, end: number): End {
    const after = this.#retryAfter === null ? '' : `retry after ${this.#retryAfter} s: `;
    const words = this.#plain.words() || `HTTP ${status} without a body`;
    return { end, error: errorOfStatus(status), detail: after + words };
  }

  #endOfBody(end: number): End {
    // Some servers answer an error, or the whole text, with 200 and plain JSON.
    if (this.#stream.events > 0 || this.#plain.empty) return { end, error: null, detail: null };
    return { end, error: 'bad_body', detail: `not an event stream: ${this.#plain.words()}` };
  }

  /** Enters a phase that may last until `limitMs` after `since`. */
  #enter(phase: Phase, since: number, limitMs: number): void {
    this.#phase = phase;
    this.#wait(since, limitMs, (end) => {
      const began = this.#stream.events === 0 ? this.#plain.words() : '';
      const waited = `gave up after ${Math.round((end - since) / 1e6)} ms`;
      const detail = began === '' ? waited : `${waited}; the answer began: ${began}`;
      return { end, error: TIMEOUT_OF_PHASE[phase], detail };
    });
  }

  /** Ends it so once `limitMs` after `since` have passed; takes the place of what was waited for before. */
  #wait(since: number, limitMs: number, then: (at: number) => End): void {
    clearTimeout(this.#timer);
    const leftMs = limitMs - (now() - since) / 1e6;
    this.#timer = setTimeout(() => this.#drop(then(now())), Math.max(0, leftMs));
  }

  readonly #cancel = (): void => {
    const done = this.#stream.done ? this.#known(now()) : null;
    this.#drop(done ?? { end: now(), error: null, detail: null }, done === null);
  };

  /** Ends it, and its connection. */
  #drop(end: End, cancelled = false): void {
    this.#finish(end, cancelled);
    this.#giveUp();
  }

  #finish(end: End, cancelled = false): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#cancel);
    const refused = ABOUT_FIELDS.has(this.#status ?? 0) ? refusedFields(this.#plain.parsed()) : [];
    this.#resolve({
      sent: this.#sent,
      firstByte: this.#firstByte,
      status: this.#status,
      stream: this.#stream,
      cancelled,
      refused,
      ...end,
    });
  }
}

/** A Retry-After header in seconds, of either form (RFC 9110, section 10.2.3); null when there is none, or no sense in it. */
function secondsOf(header: string | string[] | undefined): number | null {
  const text = String(Array.isArray(header) ? header[0] : (header ?? '')).trim();
  if (/^\d+$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, Math.round((date - Date.now()) / 1000));
}
