/**
 * One try at one request: on the wire, timed, and named when it fails.
 *
 * In: the request, its timeouts, a signal. Out: an Outcome, always; an exchange never throws. Phases follow one another
 * (connecting, sent, headers, content), each with its own limit, so that a timeout names what the server failed to do.
 */
import type { RequestError } from '../result/schema.ts';
import { now } from './clock.ts';
import type { Dialect } from './dialects/dialect.ts';
import { errorOfFailure, errorOfStatus, type Phase, TIMEOUT_OF_PHASE, wordsOfFailure } from './failures.ts';
import { SseParser } from './sse.ts';
import { StreamReader, wordsOf } from './stream-reader.ts';
import type { Timeouts } from './timeouts.ts';
import type { OutgoingRequest, Transport } from './transport.ts';

/** How much is kept of a body that is no stream: a proxy's error page may be large, and its first words say it. */
const PLAIN_BODY_LIMIT_BYTES = 16 * 1024;

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
}

export function exchange(
  transport: Transport,
  request: OutgoingRequest,
  dialect: Dialect,
  timeouts: Timeouts,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const stream = new StreamReader(dialect);
    const parser = new SseParser((data, at) => stream.event(data, at));
    const plainBody: Buffer[] = [];
    let plainBytes = 0;
    let phase: Phase = 'connecting';
    let sent = now();
    let firstByte: number | null = null;
    let status: number | null = null;
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    let giveUp: () => void = () => {};

    const finish = (end: number, error: RequestError | null, detail: string | null, cancelled = false) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      resolve({ sent, firstByte, end, status, stream, cancelled, error, detail });
    };
    const cancel = () => {
      finish(now(), null, null, true);
      giveUp();
    };
    /** Enters a phase that may last until `limitMs` after `since`. */
    const enter = (next: Phase, since: number, limitMs: number) => {
      phase = next;
      clearTimeout(timer);
      const left = limitMs - (now() - since) / 1e6;
      timer = setTimeout(
        () => {
          const waited = `gave up after ${Math.round((now() - since) / 1e6)} ms`;
          finish(now(), TIMEOUT_OF_PHASE[next], waited);
          giveUp();
        },
        Math.max(0, left),
      );
    };
    const stopOnFault = (at: number) => {
      if (stream.fault === null) return;
      finish(at, stream.fault.error, stream.fault.detail);
      giveUp();
    };
    const ended = (at: number) => {
      if (status !== null && status !== 200) {
        finish(at, errorOfStatus(status), wordsOfBody(Buffer.concat(plainBody), status));
        return;
      }
      parser.end(at);
      if (stream.fault !== null) {
        finish(at, stream.fault.error, stream.fault.detail);
      } else if (stream.events === 0 && plainBytes > 0) {
        // Some servers answer an error, or the whole text, with 200 and plain JSON.
        finish(at, 'bad_body', `not an event stream: ${wordsOfBody(Buffer.concat(plainBody), status ?? 0)}`);
      } else {
        finish(at, null, null);
      }
    };

    if (signal?.aborted === true) {
      finish(sent, null, null, true);
      return;
    }
    signal?.addEventListener('abort', cancel, { once: true });
    enter('connecting', sent, timeouts.connectMs);
    giveUp = transport.dispatch(request, {
      sent(at) {
        sent = at;
        enter('sent', sent, timeouts.headersMs);
      },
      headers(code) {
        status = code;
        enter('headers', sent, timeouts.firstContentMs);
      },
      data(bytes, at) {
        firstByte ??= at;
        if (status !== 200 || stream.events === 0) {
          if (plainBytes < PLAIN_BODY_LIMIT_BYTES) plainBody.push(Buffer.from(bytes));
          plainBytes += bytes.length;
        }
        if (status !== 200) return;
        try {
          parser.push(bytes, at);
        } catch (cause) {
          stream.fault ??= { error: 'bad_body', detail: (cause as Error).message };
        }
        if (phase === 'headers' && stream.chunks.length > 0) enter('content', sent, timeouts.totalMs);
        stopOnFault(at);
      },
      end: ended,
      error: (failure, at) => finish(at, errorOfFailure(failure, phase), wordsOfFailure(failure)),
    });
  });
}

function wordsOfBody(body: Buffer, status: number): string {
  const text = body.toString('utf8').trim();
  if (text === '') return `HTTP ${status} without a body`;
  try {
    return wordsOf(JSON.parse(text));
  } catch {
    return text;
  }
}
