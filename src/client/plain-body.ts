/**
 * The beginning of a body that is no event stream. In: its bytes. Out: what it says: a server's error, a proxy's page.
 *
 * Only the beginning is kept: an error page may be large, and its first words say it.
 */
import { wordsOf } from './stream-reader.ts';

const LIMIT_BYTES = 16 * 1024;

export class PlainBody {
  #pieces: Buffer[] = [];
  #bytes = 0;

  add(bytes: Buffer): void {
    if (this.full) return;
    const kept = Buffer.from(bytes.subarray(0, LIMIT_BYTES - this.#bytes)); // a copy: the reader reuses its memory
    this.#pieces.push(kept);
    this.#bytes += kept.length;
  }

  get empty(): boolean {
    return this.#bytes === 0;
  }

  /** No more is kept. */
  get full(): boolean {
    return this.#bytes >= LIMIT_BYTES;
  }

  /** As JSON; the text itself where it is none. */
  parsed(): unknown {
    const text = this.#text();
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }

  /** The server's own words; '' when it said nothing. */
  words(): string {
    if (this.#text() === '') return '';
    const parsed = this.parsed();
    return typeof parsed === 'string' ? parsed : wordsOf(parsed);
  }

  #text(): string {
    return Buffer.concat(this.#pieces).toString('utf8').trim();
  }
}
