/**
 * The objects of a file, one by one: JSON lines, or one JSON list. In: a path. Out: each object with the line it begins at.
 *
 * The file is read in pieces and only one object is held at a time, so that a list of hundreds of megabytes (ShareGPT's
 * is one) needs no more memory than its largest object, which has a bound.
 */
import { createReadStream } from 'node:fs';
import { shown } from '../problems.ts';
import { fileFault } from './file-fault.ts';

export interface JsonItem {
  value: Record<string, unknown>;
  /** 1-based. */
  line: number;
}

/** A longer one is no request: a million tokens are about four million characters. */
const MOST_CHARACTERS = 16 * 2 ** 20;
const PIECE_BYTES = 2 ** 18;

/** @throws BenchError with file:line: no such JSON, or no objects */
export async function* jsonItems(file: string): AsyncGenerator<JsonItem> {
  let splitter: LineSplitter | ListSplitter | null = null;
  let blank = ''; // what comes before the first character that says which form the file has
  for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: PIECE_BYTES })) {
    let text = piece as string;
    if (splitter === null) {
      text = blank + text;
      const first = /[^\s\uFEFF]/.exec(text)?.[0];
      if (first === undefined) {
        if (text.length > MOST_CHARACTERS) break;
        blank = text;
        continue;
      }
      splitter = first === '[' ? new ListSplitter(file) : new LineSplitter(file);
      text = text.replace(/^\uFEFF/, '');
    }
    yield* splitter.take(text);
  }
  if (splitter === null) throw fileFault(file, null, 'is empty; expected one JSON object a line');
  yield* splitter.end();
}

function parsed(file: string, line: number, text: string): JsonItem {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fileFault(file, line, `not valid JSON: ${(error as Error).message}; expected one JSON object a line`);
  }
  return object(file, line, value);
}

function object(file: string, line: number, value: unknown): JsonItem {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw fileFault(file, line, `expected a JSON object, found ${shown(value)}`);
  }
  return { value: value as Record<string, unknown>, line };
}

const tooLong = (file: string, line: number) =>
  fileFault(file, line, `an object here is longer than ${MOST_CHARACTERS} characters; expected one request each`);

class LineSplitter {
  readonly #file: string;
  #rest = '';
  #line = 1;

  constructor(file: string) {
    this.#file = file;
  }

  *take(piece: string): Generator<JsonItem> {
    const text = this.#rest + piece;
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      yield* this.#item(text.slice(from, end));
      this.#line++;
      from = end + 1;
    }
    this.#rest = text.slice(from);
    if (this.#rest.length > MOST_CHARACTERS) throw tooLong(this.#file, this.#line);
  }

  *end(): Generator<JsonItem> {
    yield* this.#item(this.#rest);
  }

  *#item(text: string): Generator<JsonItem> {
    if (text.trim() !== '') yield parsed(this.#file, this.#line, text);
  }
}

/** Finds the objects of one list by their braces, which count only outside of texts. */
class ListSplitter {
  readonly #file: string;
  /** What has been read of the object that is open. */
  #pieces: string[] = [];
  #characters = 0;
  #state: 'before' | 'in' | 'after' = 'before';
  #depth = 0;
  #inText = false;
  #escaped = false;
  #line = 1;
  #startLine = 1;

  constructor(file: string) {
    this.#file = file;
  }

  *take(piece: string): Generator<JsonItem> {
    let from = this.#depth > 0 ? 0 : -1;
    for (let i = 0; i < piece.length; i++) {
      const c = piece.charCodeAt(i);
      if (c === NEWLINE) this.#line++;
      if (this.#inText) {
        if (this.#escaped) this.#escaped = false;
        else if (c === BACKSLASH) this.#escaped = true;
        else if (c === QUOTE) this.#inText = false;
      } else if (this.#depth > 0) {
        if (c === QUOTE) this.#inText = true;
        else if (c === OPEN_BRACE || c === OPEN_BRACKET) this.#depth++;
        else if ((c === CLOSE_BRACE || c === CLOSE_BRACKET) && --this.#depth === 0) {
          this.#pieces.push(piece.slice(from, i + 1));
          from = -1;
          yield parsed(this.#file, this.#startLine, this.#pieces.join(''));
          this.#pieces = [];
          this.#characters = 0;
        }
      } else if (c === OPEN_BRACE && this.#state === 'in') {
        this.#depth = 1;
        this.#startLine = this.#line;
        from = i;
      } else {
        this.#between(piece, i);
      }
    }
    if (from < 0) return;
    this.#pieces.push(piece.slice(from));
    this.#characters += piece.length - from;
    if (this.#characters > MOST_CHARACTERS) throw tooLong(this.#file, this.#startLine);
  }

  // biome-ignore lint/correctness/useYield: nothing is left at the end; the other splitter has its last line
  *end(): Generator<JsonItem> {
    if (this.#state === 'after') return;
    throw fileFault(this.#file, this.#line, 'the file ends within its list; expected "]"');
  }

  /** Outside of objects: the brackets of the list, commas and space. */
  #between(piece: string, i: number): void {
    const character = piece[i]!;
    if (/\s/.test(character)) return;
    if (this.#state === 'before' && character === '[') this.#state = 'in';
    else if (this.#state === 'in' && character === ']') this.#state = 'after';
    else if (this.#state !== 'in' || character !== ',') {
      const expected = this.#state === 'in' ? 'a JSON object' : 'nothing behind the list';
      throw fileFault(this.#file, this.#line, `expected ${expected}, found ${shown(piece.slice(i, i + 20))}`);
    }
  }
}

const NEWLINE = 10;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
