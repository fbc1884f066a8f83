/**
 * Server-sent events out of a byte stream, as it arrives.
 *
 * In: buffers cut at any byte, each with its arrival stamp. Out: the data and type of every event, with the stamp of the
 * buffer that completed it. Bytes are decoded a whole line at a time, so a character cut in two is mended before it is read.
 *
 * Format: WHATWG HTML, section 9.2.6 "Interpreting an event stream" (LF, CR and CRLF end lines; ":" starts a comment;
 * several data lines are joined by a newline; a blank line ends an event). `id` and `retry` play no part in OpenAI's
 * streams and are skipped. One departure: an event that the end of the stream cuts off before its blank line counts.
 */
const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * A line or an event longer than this is none of a language model: without a limit an endless one would eat the memory,
 * and parsing a huge one would hold up every other stream's stamps (4 MiB take 3 to 20 ms).
 */
export const EVENT_LIMIT_BYTES = 4 * 1024 * 1024;
/** What a parser keeps for the next half line once a longer one is over. */
const IDLE_BYTES = 16 * 1024;

/** `type` is the event's `event:` field, '' where it has none. */
export type OnEvent = (data: string, at: number, type: string) => void;

export class SseParser {
  readonly #onEvent: OnEvent;
  /** Bytes of the line that is not complete yet, at the front of a buffer that doubles as it fills. */
  #held = Buffer.alloc(0);
  #heldBytes = 0;
  #data: string | null = null;
  #type = '';
  /** The last line ended with CR at the end of a buffer: a LF at the start of the next belongs to it. */
  #afterReturn = false;
  #firstLine = true;

  constructor(onEvent: OnEvent) {
    this.#onEvent = onEvent;
  }

  /** @throws RangeError when a line or an event exceeds EVENT_LIMIT_BYTES; the parser is of no use afterwards */
  push(bytes: Buffer, at: number): void {
    let start = 0;
    if (this.#afterReturn && bytes.length > 0) {
      this.#afterReturn = false;
      if (bytes[0] === LF) start = 1;
    }
    let nextReturn = bytes.indexOf(CR, start);
    let nextFeed = bytes.indexOf(LF, start);
    while (nextReturn !== -1 || nextFeed !== -1) {
      const byReturn = nextReturn !== -1 && (nextFeed === -1 || nextReturn < nextFeed);
      const end = byReturn ? nextReturn : nextFeed;
      this.#line(this.#complete(bytes.subarray(start, end)), at);
      start = end + 1;
      if (byReturn) {
        if (start === bytes.length) this.#afterReturn = true;
        else if (bytes[start] === LF) start++;
        nextReturn = bytes.indexOf(CR, start);
      }
      if (nextFeed !== -1 && nextFeed < start) nextFeed = bytes.indexOf(LF, start);
    }
    if (start < bytes.length) this.#hold(bytes.subarray(start));
  }

  /** The stream ended: an event whose lines are complete counts although its blank line is missing; half a line doesn't. */
  end(at: number): void {
    this.#heldBytes = 0;
    this.#dispatch(at);
  }

  /** Copies the bytes: the reader may reuse its memory once push() has returned. */
  #hold(rest: Buffer): void {
    const length = this.#heldBytes + rest.length;
    if (length > EVENT_LIMIT_BYTES) throw tooLong('a line');
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(EVENT_LIMIT_BYTES, Math.max(length, 2 * this.#held.length, 1024)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    rest.copy(this.#held, this.#heldBytes);
    this.#heldBytes = length;
  }

  /** The line that `tail` ends; valid until the next #hold(). */
  #complete(tail: Buffer): Buffer {
    if (this.#heldBytes === 0) {
      if (tail.length > EVENT_LIMIT_BYTES) throw tooLong('a line');
      return tail;
    }
    this.#hold(tail);
    const line = this.#held.subarray(0, this.#heldBytes);
    this.#heldBytes = 0;
    if (this.#held.length > IDLE_BYTES) this.#held = Buffer.alloc(0);
    return line;
  }

  #line(bytes: Buffer, at: number): void {
    if (bytes.length === 0 && !this.#firstLine) {
      this.#dispatch(at);
      return;
    }
    let line = bytes.toString('utf8');
    if (this.#firstLine) {
      this.#firstLine = false;
      if (line.startsWith(BYTE_ORDER_MARK)) line = line.slice(1);
      if (line === '') return;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    if (field !== 'data' && field !== 'event') return;
    let value = colon === -1 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') {
      this.#type = value;
      return;
    }
    this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    if (this.#data.length > EVENT_LIMIT_BYTES) throw tooLong('an event');
  }

  #dispatch(at: number): void {
    const data = this.#data;
    const type = this.#type;
    this.#data = null;
    this.#type = '';
    if (data !== null) this.#onEvent(data, at, type);
  }
}

const tooLong = (what: string) =>
  new RangeError(`${what} of more than ${EVENT_LIMIT_BYTES} bytes is none of a language model`);
