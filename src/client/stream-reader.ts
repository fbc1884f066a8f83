/**
 * The meaning of one streamed answer, gathered while it arrives.
 *
 * In: the data of each event with its arrival stamp. Out: content chunks with their stamps, usage, finish reason, the
 * server's own timings, and what was wrong with the stream.
 *
 * A content chunk has text, reasoning or tool-call data, or its running count advanced; a role-only or empty delta is
 * none. Nothing is tokenized here: that waits until the stream has ended (chunk-tokens.ts). What servers send is listed
 * with the fixtures that this is tested on (test/support/dialect-streams.ts).
 */
import type { RequestError, ServerTimings } from '../result/schema.ts';
import type { ContentChunk } from './chunk-tokens.ts';
import { type Dialect, type Fields, fieldsOf, textOf } from './dialects/dialect.ts';
import { countsOf, type Usage } from './server-counts.ts';

const DONE = '[DONE]';
/** No answer is this long: without limits one that never ends would fill the memory until its timeout. */
const CHUNK_LIMIT = 1_000_000;
const TEXT_LIMIT = 64 * 1024 * 1024;

/** Finish reasons by which servers say that they gave up: vLLM's, SGLang's and TensorRT-LLM's. */
const GIVEN_UP = new Set(['abort', 'error', 'cancelled', 'timeout']);

export interface StreamFault {
  error: RequestError;
  detail: string;
}

export class StreamReader {
  readonly #dialect: Dialect;
  readonly chunks: ContentChunk[] = [];
  /** Arrival of each content chunk. */
  readonly stamps: number[] = [];
  /** Arrival of the first content that is not reasoning. */
  firstOutput: number | null = null;
  usage: Usage | null = null;
  finish: string | null = null;
  timings: ServerTimings | null = null;
  /** Arrival of [DONE]: the answer is whole, whatever becomes of its connection. */
  doneAt: number | null = null;
  /** Events of any kind. */
  events = 0;
  fault: StreamFault | null = null;
  /** The last count of tokens seen on an event with a choice. */
  #running: number | null = null;
  #reasoned = false;
  #characters = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  get done(): boolean {
    return this.doneAt !== null;
  }

  /** @param type the event's `event:` field; '' in OpenAI's streams */
  event(data: string, at: number, type = ''): void {
    this.events++;
    if (this.done || this.fault !== null) return;
    if (data.startsWith(DONE) && data.trim() === DONE) {
      this.doneAt = at;
      return;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      this.fault =
        type === 'error'
          ? { error: 'error_in_stream', detail: data }
          : { error: 'bad_body', detail: `an event is not JSON: ${data.slice(0, 200)}` };
      return;
    }
    const event = fieldsOf(parsed);
    if (type === 'error' || isError(event)) {
      this.fault = { error: 'error_in_stream', detail: wordsOf(parsed) };
      return;
    }
    this.timings = timingsOf(event['timings']) ?? this.timings;
    const { usage, running } = countsOf(event);
    this.usage = usage ?? this.usage;
    // The closing usage event has no choice: its count is a sum, not progress.
    const choices = event['choices'];
    if (Array.isArray(choices) && choices.length > 0) this.#choice(choices[0], running, at);
  }

  #choice(choice: unknown, running: number | null, at: number): void {
    const { text, reasoning, finish } = this.#dialect.piece(choice);
    this.finish = finish ?? this.finish;
    if (finish !== null && GIVEN_UP.has(finish)) {
      this.fault = { error: 'error_in_stream', detail: `the server gave the answer up: finish_reason "${finish}"` };
    }
    // A server that counts only at the end says so on its last chunk; after uncounted content that is no progress.
    const counting = this.#running !== null || this.chunks.length === 0;
    const advanced = running !== null && counting && running > (this.#running ?? 0);
    if (running !== null && counting) this.#running = running;
    if (text === '' && reasoning === '' && !advanced) return;
    if (reasoning !== '') this.#reasoned = true;
    // A token without text (half a character, a hidden one) belongs to the thoughts once there have been any.
    if (this.firstOutput === null && (text !== '' || (reasoning === '' && !this.#reasoned))) this.firstOutput = at;
    this.chunks.push({ text: reasoning + text, running });
    this.stamps.push(at);
    this.#characters += reasoning.length + text.length;
    if (this.chunks.length > CHUNK_LIMIT || this.#characters > TEXT_LIMIT) {
      this.fault ??= { error: 'bad_body', detail: `no end after ${this.chunks.length} chunks` };
    }
  }
}

/** OpenAI's `{error: ..}`, and vLLM's older `{object: "error", message}`. */
const isError = (event: Fields): boolean =>
  (event['error'] !== undefined && event['error'] !== null) || event['object'] === 'error';

/** The server's own words in an error object of any of the usual shapes. */
export function wordsOf(value: unknown): string {
  const body = fieldsOf(value);
  const error = body['error'];
  const words =
    textOf(fieldsOf(error)['message']) || textOf(error) || textOf(body['message']) || textOf(body['detail']);
  return words || textOf(value) || JSON.stringify(value);
}

const TIMES = ['queue_ms', 'adapter_ms', 'prefill_ms', 'decode_ms', 'ttft_ms', 'stream_ms'] as const;
const OPTIONAL_FIGURES = ['adapter_bytes', 'adapter_load_ms'] as const;
const TIERS = ['device', 'host', 'disk'] as const;

/** The engine's timings; another server's object of that name (llama.cpp has one) has other fields and is none. */
function timingsOf(value: unknown): ServerTimings | null {
  const fields = fieldsOf(value);
  const times = TIMES.map((name) => fields[name]);
  if (!times.every(isFigure)) return null;
  const given = fields['adapter_tier'] ?? null;
  const tier = given === null ? null : TIERS.find((one) => one === given);
  if (tier === undefined) return null;
  const named = Object.fromEntries(TIMES.map((name, i) => [name, times[i] as number]));
  const more = OPTIONAL_FIGURES.filter((name) => isFigure(fields[name])).map((name) => [name, fields[name]]);
  return { ...(named as Omit<ServerTimings, 'adapter_tier'>), adapter_tier: tier, ...Object.fromEntries(more) };
}

const isFigure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;
