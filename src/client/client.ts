/**
 * The measuring client: a request goes out, a record comes back, whatever happens in between.
 *
 * In: RequestSpecs and how this run sends them. Out: RequestRecords with integer-nanosecond stamps taken when bytes
 * arrived. `send` never rejects: every outcome is a record with a name. Where a server does not count tokens as it
 * streams, the answer's texts come along, to be counted where no stream's stamps wait for it (`counted`).
 *
 *   spec -> request-body -> exchange (transport, sse, stream-reader) -> verdict -> record [-> chunk-tokens -> record]
 */
import { BenchError } from '../errors.ts';
import type { RequestError, RequestRecord } from '../result/schema.ts';
import type { RequestSpec } from '../workload/request.ts';
import { type ContentChunk, runningTokens, type TokenBytes, uncountedTokens } from './chunk-tokens.ts';
import { chat } from './dialects/chat.ts';
import { completions } from './dialects/completions.ts';
import { exchange, type Outcome } from './exchange.ts';
import { redactor } from './redact.ts';
import { allRefused, type Capabilities, NOTHING_REFUSED, requestBody, withoutRefused } from './request-body.ts';
import { timeoutsOf } from './timeouts.ts';
import { createTransport } from './transport.ts';

export interface ClientOptions {
  /** Base URL with its version part: "http://127.0.0.1:8000/v1". */
  url: string;
  api: 'completions' | 'chat';
  /** The base model's name, sent when a request names no adapter. */
  model: string;
  /** Where a request names its adapter; in the model's place if not given. */
  adapterField?: 'model' | 'lora_path';
  apiKey: string | null;
  headers: Record<string, string>;
}

export interface SendContext {
  run: string;
  attempt: number;
  /** Stamp at which it should be sent; a closed loop's request (intendedOffset null) takes the actual one instead. */
  intended: number;
  temperature: number;
  extraBody: Record<string, unknown>;
  timeoutMs: number;
  seed?: number;
}

/** A request's record, and what is still to be counted in it. */
export interface Answer {
  record: RequestRecord;
  /** Its content chunks, where the server has not counted tokens chunk by chunk: `counted` then completes the record. */
  uncounted: ContentChunk[] | null;
}

export interface Client {
  /** Never rejects. An aborted signal makes the outcome `cancelled`. */
  send(spec: RequestSpec, context: SendContext, signal?: AbortSignal): Promise<Answer>;
  /** Opens connections ahead until `count` are open. @throws BenchError TARGET_UNREACHABLE, UNSUPPORTED (a limit here) */
  connect(count: number): Promise<void>;
  /** What the server has refused so far, and therefore is not asked for any more. */
  readonly can: Capabilities;
  /** Learns what another client of the same server has found out. */
  learn(refused: Capabilities): void;
  /** Requests still under way end as failed or cancelled. */
  close(): Promise<void>;
}

/** @throws BenchError USAGE when the URL is no plain http(s) address */
export function createClient(options: ClientOptions): Client {
  const url = baseOf(options.url);
  const dialect = options.api === 'chat' ? chat : completions;
  const path = url.pathname.replace(/\/+$/, '') + dialect.path + url.search;
  const headers = headersOf(options);
  const redact = redactor(options.apiKey, options.headers);
  const transport = createTransport(new URL(url.origin));
  const { model, adapterField = 'model' } = options;
  const named = { model, adapterField };
  let can = NOTHING_REFUSED;
  const learn = (next: Capabilities) => {
    // Another request may have learnt more meanwhile: never ask again for what was refused.
    can = allRefused(can, next);
  };

  return {
    async send(spec, context, signal) {
      const timeouts = timeoutsOf(context.timeoutMs);
      for (let again = false; ; again = true) {
        const asked = can;
        const body = requestBody(dialect, spec, { ...context, ...named }, asked);
        const request = { path, method: 'POST' as const, headers, body };
        const outcome = await exchange(transport, request, dialect, timeouts, signal);
        const next = withoutRefused(asked, outcome.refused);
        if (next === null) return answerOf(spec, context, outcome, options, redact, again);
        learn(next);
      }
    },
    connect: (count) => transport.connect(count),
    get can() {
      return can;
    },
    learn,
    close: () => transport.close(),
  };
}

/**
 * The record with the tokens of its chunks, from a tokenizer or by the server's own sum (chunk-tokens.ts).
 * @param tokenBytes cuts a text into tokens; null when no tokenizer is at hand
 */
export async function counted({ record, uncounted }: Answer, tokenBytes: TokenBytes | null): Promise<RequestRecord> {
  if (uncounted === null) return record;
  const finalTokens = record.usage?.completion_tokens ?? null;
  const { tokens, source } = await uncountedTokens(uncounted, finalTokens, tokenBytes);
  const chunks = record.chunks.map(([at], i): [number, number | null] => [at, tokens[i] ?? null]);
  return { ...record, chunks, tokenSource: source };
}

function baseOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username || url.password) {
    throw new BenchError(
      'USAGE',
      'The server URL is not usable: expected http://HOST[:PORT]/v1 or https://.., without a user name or password in it.',
      { hint: 'Keys go into an environment variable, named by api_key_env.' },
    );
  }
  return url;
}

function headersOf({ apiKey, headers }: ClientOptions): Record<string, string> {
  const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    accept: 'text/event-stream',
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
    ...own,
    'content-type': 'application/json',
  };
}

function answerOf(
  spec: RequestSpec,
  context: SendContext,
  outcome: Outcome,
  options: ClientOptions,
  redact: (text: string) => string,
  again: boolean,
): Answer {
  const { sent, stream } = outcome;
  const running = runningTokens(stream.chunks);
  const fault = outcome.cancelled ? null : outcome.error !== null ? outcome : faultOf(spec, outcome);
  const record: RequestRecord = {
    run: context.run,
    attempt: context.attempt,
    i: spec.i,
    phase: spec.phase,
    model: options.model,
    adapter: spec.adapter,
    // What the first try cost was our asking for too much, not the server's delay: the clock starts with the second.
    intended: spec.intendedOffset === null || again ? sent : context.intended,
    sent,
    firstByte: outcome.firstByte,
    chunks: stream.stamps.map((at, i) => [at - sent, running?.tokens[i] ?? null]),
    firstOutput: stream.firstOutput === null ? null : stream.firstOutput - sent,
    end: outcome.end,
    outcome: outcome.cancelled ? 'cancelled' : fault === null ? 'ok' : 'failed',
    error: fault?.error ?? null,
    ...(fault?.detail == null ? {} : { detail: redact(fault.detail) }),
    usage: stream.usage,
    asked: { promptTokens: spec.promptTokens, outputTokens: spec.outputTokens },
    finish: stream.finish,
    tokenSource: running?.source ?? 'unknown',
    timings: stream.timings,
  };
  return { record, uncounted: running === null ? stream.chunks : null };
}

/** What is wrong with an answer that came through whole. */
function faultOf(spec: RequestSpec, { stream }: Outcome): { error: RequestError; detail: string } | null {
  const { chunks, done, finish, usage } = stream;
  if (chunks.length === 0) return { error: 'no_content', detail: 'the stream ended without any content' };
  if (!done && finish === null) {
    return { error: 'ended_early', detail: `the stream ended after ${chunks.length} chunks, unfinished` };
  }
  if (spec.control === 'cap') return null;
  // Without usage the server's own count is unknown; validity/ says so. A tokenizer's count of the text may differ.
  if (usage !== null && usage.completion_tokens !== spec.outputTokens) {
    return { error: 'wrong_output_tokens', detail: `asked for ${spec.outputTokens}, got ${usage.completion_tokens}` };
  }
  if (finish !== 'length')
    return { error: 'wrong_finish_reason', detail: `asked for "length", got ${finish ?? 'none'}` };
  return null;
}
