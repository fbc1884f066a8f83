/**
 * Server-sent events out of a byte stream, as it arrives.
 *
 * In: buffers cut at any byte, each with its arrival stamp. Out: the data of every event, with the stamp of the buffer
 * that completed it. Bytes are decoded a whole line at a time, so a character cut in two is mended before it is read.
 *
 * Format: WHATWG HTML, section 9.2.6 "Interpreting an event stream" (LF, CR and CRLF end lines; ":" starts a comment;
 * several data lines are joined by a newline; a blank line ends an event). `event`, `id` and `retry` play no part in
 * OpenAI's streams and are skipped.
 */
const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = '\uFEFF';

/** A line longer than this is no event of a language model; without a limit, one endless line would eat the memory. */
export const LINE_LIMIT_BYTES = 64 * 1024 * 1024;

export class SseParser {
  readonly #onData: (data: string, at: number) => void;
  /** Bytes of the line that is not complete yet, in the pieces they came in: joining on every read would be quadratic. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #data: string | null = null;
  /** The last line ended with CR at the end of a buffer: a LF at the start of the next belongs to it. */
  #afterReturn = false;
  #firstLine = true;

  constructor(onData: (data: string, at: number) => void) {
    this.#onData = onData;
  }

  /** @throws RangeError when a line exceeds LINE_LIMIT_BYTES */
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
    if (start < bytes.length) this.#keep(bytes.subarray(start));
  }

  /** The stream ended: an event whose lines are complete counts although its blank line is missing; half a line doesn't. */
  end(at: number): void {
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#dispatch(at);
  }

  #keep(rest: Buffer): void {
    this.#pieceBytes += rest.length;
    if (this.#pieceBytes > LINE_LIMIT_BYTES) throw new RangeError(`a line of more than ${LINE_LIMIT_BYTES} bytes`);
    // A copy: the reader may reuse its memory once push() has returned.
    this.#pieces.push(Buffer.from(rest));
  }

  #complete(tail: Buffer): Buffer {
    if (this.#pieceBytes === 0) return tail;
    const line = Buffer.concat([...this.#pieces, tail]);
    this.#pieces = [];
    this.#pieceBytes = 0;
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
    if (field !== 'data') return;
    let value = colon === -1 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
  }

  #dispatch(at: number): void {
    const data = this.#data;
    if (data === null) return;
    this.#data = null;
    this.#onData(data, at);
  }
}
