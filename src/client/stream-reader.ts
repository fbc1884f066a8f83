/**
 * The meaning of one streamed answer, gathered while it arrives.
 *
 * In: the data of each event with its arrival stamp. Out: content chunks with their stamps, usage, finish reason, the
 * server's own timings, and what was wrong with the stream.
 *
 * A content chunk has text, reasoning or tool-call data, or its running usage advanced; a role-only or empty delta is
 * none. Nothing is tokenized here: that waits until the stream has ended (chunk-tokens.ts).
 */
import type { RequestError, ServerTimings } from '../result/schema.ts';
import type { ContentChunk } from './chunk-tokens.ts';
import { type Dialect, fieldsOf, textOf } from './dialects/dialect.ts';

const DONE = '[DONE]';

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
  usage: { prompt_tokens: number; completion_tokens: number } | null = null;
  finish: string | null = null;
  timings: ServerTimings | null = null;
  done = false;
  /** Events of any kind. */
  events = 0;
  fault: StreamFault | null = null;
  /** The last `completion_tokens` seen on an event with a choice. */
  #running: number | null = null;
  #reasoned = false;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  event(data: string, at: number): void {
    this.events++;
    if (this.done || this.fault !== null) return;
    if (data === DONE) {
      this.done = true;
      return;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      this.fault = { error: 'bad_body', detail: `an event is not JSON: ${data.slice(0, 200)}` };
      return;
    }
    const event = fieldsOf(parsed);
    if (isError(event)) {
      this.fault = { error: 'error_in_stream', detail: wordsOf(event) };
      return;
    }
    const usage = usageOf(event['usage']);
    this.usage = usage ?? this.usage;
    this.timings = timingsOf(event['timings']) ?? this.timings;
    // The closing usage event has no choice: its count is a sum, not progress.
    const choices = event['choices'];
    if (Array.isArray(choices) && choices.length > 0) this.#choice(choices[0], usage?.completion_tokens ?? null, at);
  }

  #choice(choice: unknown, running: number | null, at: number): void {
    const { text, reasoning, finish } = this.#dialect.piece(choice);
    this.finish = finish ?? this.finish;
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
  }
}

/** OpenAI's `{error: ..}`, and vLLM's older `{object: "error", message}`. */
const isError = (event: Record<string, unknown>): boolean =>
  (event['error'] !== undefined && event['error'] !== null) || event['object'] === 'error';

/** The server's own words in an error object of any of the usual shapes. */
export function wordsOf(value: unknown): string {
  const body = fieldsOf(value);
  const error = body['error'];
  const words =
    textOf(fieldsOf(error)['message']) || textOf(error) || textOf(body['message']) || textOf(body['detail']);
  return words || JSON.stringify(value);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function usageOf(value: unknown): { prompt_tokens: number; completion_tokens: number } | null {
  const { prompt_tokens, completion_tokens } = fieldsOf(value);
  // Some servers leave completion_tokens out while it is 0.
  if (!isCount(prompt_tokens)) return null;
  if (completion_tokens === undefined) return { prompt_tokens, completion_tokens: 0 };
  return isCount(completion_tokens) ? { prompt_tokens, completion_tokens } : null;
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
