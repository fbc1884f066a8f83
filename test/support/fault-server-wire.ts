/**
 * An answer written by hand, for servers that do what an HTTP library would not.
 *
 * In: the connection of a request. Out: bytes on it: headers, HTTP chunks, events, or whatever else, and its end.
 */
import type { Socket } from 'node:net';
import type { ServedRequest } from './timed-server.ts';

export const EVENT_STREAM = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
export const CHUNKED = 'Transfer-Encoding: chunked\r\n';
export const DONE = 'data: [DONE]\n\n';
export const LAST_CHUNK = '0\r\n\r\n';

/** One HTTP chunk. */
export const framed = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** A whole body in HTTP chunks of so many bytes, wherever those begin. */
export function framedBy(size: number, body: string): Buffer {
  const bytes = Buffer.from(body);
  const starts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, k) => k * size);
  const chunks = starts.map((at) => bytes.subarray(at, at + size));
  const frames = chunks.flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...frames, Buffer.from(LAST_CHUNK)]);
}

export const eventOf = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;

/** The event of one token of `of`, with the running usage. */
export function tokenEvent(
  index: number,
  of: number,
  finish: string | null = 'length',
  text = ` wörd${index}🎂`,
): string {
  const usage = { prompt_tokens: 3, completion_tokens: index + 1, total_tokens: 4 + index };
  const choice = { index: 0, text, finish_reason: index === of - 1 ? finish : null };
  return eventOf({ object: 'text_completion', choices: [choice], usage });
}

/** A whole answer of so many tokens, up to [DONE]. */
export const answerOf = (tokens: number): string =>
  Array.from({ length: tokens }, (_, index) => tokenEvent(index, tokens)).join('') + DONE;

export class Wire {
  readonly socket: Socket;
  /** Tokens asked for. */
  readonly asked: number;

  constructor(socket: Socket, served: ServedRequest) {
    this.socket = socket;
    this.asked = Number(served.body['max_tokens']);
  }

  get open(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** Writes, and waits until it has left for the network: what ends the connection then ends it behind this. */
  async write(bytes: string | Buffer): Promise<void> {
    if (!this.open) return;
    this.socket.write(bytes);
    while (this.open && this.socket.writableLength > 0) await new Promise(setImmediate);
  }

  /** Headers of an event stream in chunks. */
  head(): Promise<void> {
    return this.write(`${EVENT_STREAM}${CHUNKED}\r\n`);
  }

  /** The first `count` tokens of the answer, each an event in an HTTP chunk of its own. */
  async tokens(count = this.asked): Promise<void> {
    for (let index = 0; index < count; index++) await this.write(framed(tokenEvent(index, this.asked)));
  }

  /** Writes the bytes in parts of so many, each by itself. */
  async parts(bytes: Buffer, size: (part: number) => number): Promise<void> {
    for (let at = 0, part = 0; at < bytes.length && this.open; part++) {
      const end = at + size(part);
      await this.write(bytes.subarray(at, end));
      await new Promise(setImmediate);
      at = end;
    }
  }

  /** Goes on until the client has had enough. */
  async forever(bytes: string | Buffer, everyMs: number): Promise<void> {
    while (this.open) {
      await this.write(bytes);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  fin(): void {
    this.socket.end();
  }

  rst(): void {
    this.socket.resetAndDestroy();
  }
}
