/**
 * A real server on loopback that does everything that servers do wrong, and what is right but rare.
 *
 * In: requests; the model that one names is the fault it gets, and the base model's are answered in their time. Out: what
 * the timed server gives, whose faults these are (timed-server.ts; `wire` ones are written here, byte by byte).
 */
import { gzipSync } from 'node:zlib';
import {
  answerOf,
  CHUNKED,
  DONE,
  EVENT_STREAM,
  eventOf,
  framed,
  framedBy,
  LAST_CHUNK,
  tokenEvent,
  Wire,
} from './fault-server-wire.ts';
import { type Fault, startTimedServer, type TimedServer, type TimedServerOptions } from './timed-server.ts';

/** Leaves the connection unfit for another request. */
const wire = (script: (wire: Wire) => void | Promise<void>): Fault => ({
  wire: async (socket, served) => {
    await script(new Wire(socket, served));
    return false;
  },
});
/** Answers to the end, and keeps the connection. */
const whole = (script: (wire: Wire) => Promise<void>): Fault => ({
  wire: async (socket, served) => {
    await script(new Wire(socket, served));
    return true;
  },
});
const plain = (status: number, body: string, headers: Record<string, string> = {}): Fault => ({
  status,
  body,
  headers,
});
const error = (message: string) => JSON.stringify({ error: { message } });

/** A whole answer in one HTTP chunk, altered. */
const stream = (alter: (text: string) => string | Buffer): Fault =>
  whole(async (one) => {
    const text = alter(answerOf(one.asked));
    const bytes = Buffer.from(text);
    await one.write(`${EVENT_STREAM}Content-Length: ${bytes.length}\r\n\r\n`);
    await one.write(bytes);
  });

const MEGABYTE = 'x'.repeat(1024 * 1024);
const TEN = Array.from({ length: 10 });

export const FAULTS = {
  // Before the headers.
  reset_before_headers: 'reset_before_headers',
  rst_before_headers: wire((one) => one.rst()),
  cut_in_headers: wire(async (one) => {
    await one.write('HTTP/1.1 200 OK\r\nContent-Ty');
    one.fin();
  }),
  stall_before_headers: 'stall_before_headers',
  stall_in_headers: wire((one) => one.write('HTTP/1.1 200 OK\r\nContent-Ty')),
  not_http: 'not_http',
  binary: wire(async (one) => {
    await one.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 151 + 7) % 256)));
    one.fin();
  }),
  huge_headers: wire((one) => one.write(`HTTP/1.1 200 OK\r\nX-Trace: ${'x'.repeat(64 * 1024)}\r\n\r\n`)),
  endless_headers: wire(async (one) => {
    await one.write('HTTP/1.1 200 OK\r\n');
    await one.forever(`X-Trace: ${'x'.repeat(1000)}\r\n`, 0);
  }),
  early_hints: whole(async (one) => {
    await one.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n');
    await one.head();
    await one.tokens();
    await one.write(framed(DONE) + LAST_CHUNK);
  }),

  // A status that says no.
  rate_limited: plain(429, error('slow down'), { 'retry-after': '7' }),
  unavailable: plain(503, error('loading'), { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }),
  error_html: plain(502, `<html>${'<p>bad gateway'.repeat(20_000)}`),
  error_endless: wire(async (one) => {
    await one.write(`HTTP/1.1 500 Oops\r\n${CHUNKED}\r\n`);
    await one.forever(framed('sorry '.repeat(500)), 0);
  }),
  error_stalled: wire((one) => one.write(`HTTP/1.1 503 Busy\r\n${CHUNKED}\r\n${framed(error('busy'))}`)),
  error_cut: wire(async (one) => {
    await one.write(`HTTP/1.1 500 Oops\r\n${CHUNKED}\r\n${framed(error('half'))}`);
    one.rst();
  }),
  redirect: plain(302, '', { location: '/elsewhere' }),

  // 200, and no answer.
  ok_error: plain(200, error('out of cake')),
  ok_html: plain(200, '<html>please log in'),
  ok_whole: plain(200, JSON.stringify({ object: 'text_completion', choices: [{ text: 'all at once' }] })),
  ok_empty: plain(200, ''),
  ok_binary: whole(async (one) => {
    await one.write(`${EVENT_STREAM}Content-Length: 4096\r\n\r\n`);
    await one.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 151 + 7) % 256)));
  }),
  ok_compressed: whole(async (one) => {
    const bytes = gzipSync(answerOf(one.asked));
    await one.write(`${EVENT_STREAM}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    await one.write(bytes);
  }),
  no_content: 'no_content',
  stall_before_content: 'stall_before_content',
  pings_only: wire(async (one) => {
    await one.head();
    await one.forever(framed(': ping\n\n'), 10);
  }),

  // Within the stream.
  garbage: 'garbage',
  error_in_stream: 'error_in_stream',
  error_event: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write(framed('event: error\ndata: CUDA out of memory\n\n') + LAST_CHUNK);
  }),
  given_up: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write(framed(tokenEvent(one.asked - 1, one.asked, 'abort') + DONE) + LAST_CHUNK);
  }),
  end_early: 'end_early',
  reset_mid_stream: 'reset_mid_stream',
  rst_mid_chunk: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write('ff\r\ndata: {"choices": [{"te');
    one.rst();
  }),
  fin_mid_chunk: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write('ff\r\ndata: {"choices": [{"te');
    one.fin();
  }),
  cut_when_closing: wire(async (one) => {
    await one.write(`${EVENT_STREAM}Connection: close\r\n${CHUNKED}\r\n`);
    await one.tokens(2);
    one.fin();
  }),
  rst_after_last_token: wire(async (one) => {
    await one.head();
    await one.tokens();
    one.rst();
  }),
  stall_mid_stream: 'stall_mid_stream',
  stall_mid_chunk: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write('ff\r\ndata: {"choices": [{"te');
  }),
  drip: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write('fffff\r\ndata: {"choices": [{"text": "');
    await one.forever('x', 2);
  }),
  broken_chunk_size: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write('zz\r\ndata: nothing\n\n\r\n');
  }),
  overlong_chunk: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write(`5\r\n${tokenEvent(2, one.asked)}\r\n`);
  }),
  length_too_long: wire(async (one) => {
    await one.write(`${EVENT_STREAM}Content-Length: 100000\r\n\r\n`);
    await one.write(tokenEvent(0, one.asked) + tokenEvent(1, one.asked));
    one.fin();
  }),
  length_too_short: wire(async (one) => {
    const two = tokenEvent(0, one.asked) + tokenEvent(1, one.asked);
    await one.write(`${EVENT_STREAM}Content-Length: ${Buffer.byteLength(two) + 9}\r\n\r\n${answerOf(one.asked)}`);
  }),
  line_10mb: wire(async (one) => {
    await one.head();
    await one.tokens(2);
    await one.write(`a000000\r\ndata: {"choices": [{"text": "`);
    for (const _ of TEN) await one.write(MEGABYTE);
    one.fin();
  }),
  comment_10mb: wire(async (one) => {
    await one.head();
    for (const _ of TEN) await one.write(framed(`:${MEGABYTE}`));
    await one.write(framed(`\n\n${answerOf(one.asked)}`) + LAST_CHUNK);
  }),
  event_10mb: wire(async (one) => {
    await one.head();
    for (const _ of TEN) await one.write(framed(`data: ${MEGABYTE}\n`));
    await one.write(framed(`\n${answerOf(one.asked)}`) + LAST_CHUNK);
  }),
  too_much: whole(async (one) => {
    await one.head();
    for (let k = 0; k < 100; k++) await one.write(framed(eventOf({ choices: [{ text: 'more' }] }).repeat(100)));
    await one.write(framed(tokenEvent(9, 10) + DONE) + LAST_CHUNK);
  }),
  never_closes_without_done: wire(async (one) => {
    await one.head();
    await one.tokens();
  }),

  // Rare, and right.
  no_done: stream((text) => text.replace(DONE, '')),
  done_cut: stream((text) => text.trimEnd()),
  done_line: stream((text) => `${text.trimEnd()}\n`),
  done_twice: stream((text) => text + DONE + text),
  crlf: stream((text) => text.replaceAll('\n', '\r\n')),
  cr: stream((text) => text.replaceAll('\n', '\r')),
  byte_order_mark: stream((text) => `\uFEFF${text}`),
  pings: stream((text) => `: hello\n\n${text.replaceAll('\n\n', '\n\n: ping\n\n')}`),
  no_length: wire(async (one) => {
    await one.write(`${EVENT_STREAM}Connection: close\r\n\r\n${answerOf(one.asked)}`);
    one.fin();
  }),
  http_1_0: wire(async (one) => {
    await one.write(`${EVENT_STREAM.replace('1.1', '1.0')}\r\n${answerOf(one.asked)}`);
    one.fin();
  }),
  /** Every byte by itself: characters, fields, events, HTTP chunks and their sizes are all cut. */
  split_everywhere: whole(async (one) => {
    await one.head();
    const events = Array.from({ length: one.asked }, (_, index) => framed(tokenEvent(index, one.asked)));
    await one.parts(Buffer.from(events.join('') + framed(DONE) + LAST_CHUNK), () => 1);
  }),
  /** HTTP chunks of a few bytes that begin anywhere, and reads that begin anywhere in those. */
  chunks_anywhere: whole(async (one) => {
    await one.head();
    const bytes = framedBy(11, answerOf(one.asked));
    await one.parts(bytes, (part) => 1 + ((part * 7) % 23));
  }),
  never_closes: wire(async (one) => {
    await one.head();
    await one.tokens();
    await one.write(framed(DONE));
  }),
  pings_after_done: wire(async (one) => {
    await one.head();
    await one.tokens();
    await one.write(framed(DONE));
    await one.forever(framed(': still here\n\n'), 5);
  }),
  fin_after_done: wire(async (one) => {
    await one.head();
    await one.tokens();
    await one.write(framed(DONE));
    one.fin();
  }),
  rst_after_done: wire(async (one) => {
    await one.head();
    await one.tokens();
    await one.write(framed(DONE));
    one.rst();
  }),
  /** Says that the connection stays, and closes it behind the answer: who asks again at once asks a closed one. */
  closes_kept_alive: wire(async (one) => {
    await one.head();
    await one.tokens();
    one.socket.end(framed(DONE) + LAST_CHUNK);
  }),
  /** Goes on talking after the end. */
  bytes_after_end: whole(async (one) => {
    await one.head();
    await one.tokens();
    await one.write(`${framed(DONE)}${LAST_CHUNK}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello`);
  }),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export const startFaultServer = (options: Partial<TimedServerOptions> = {}): Promise<TimedServer> =>
  startTimedServer({
    adapters: Object.keys(FAULTS),
    fault: (_, body) => (FAULTS as Record<string, Fault>)[String(body['model'])] ?? null,
    ...options,
  });
