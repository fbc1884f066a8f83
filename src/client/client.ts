/**
 * The measuring client: a request goes out, a record comes back, whatever happens in between.
 *
 * In: RequestSpecs and how this run sends them. Out: RequestRecords with integer-nanosecond stamps taken when bytes
 * arrived. `send` never rejects: every outcome is a record with a name. Tokens per chunk are worked out after a stream
 * has ended, one answer at a time and in small pieces, so that no other stream's stamps wait for it.
 *
 *   spec -> request-body -> exchange (transport, sse, stream-reader) -> chunk-tokens -> verdict -> record
 */
import { BenchError } from '../errors.ts';
import type { RequestError, RequestRecord } from '../result/schema.ts';
import type { RequestSpec } from '../workload/request.ts';
import { type ChunkTokens, runningTokens, type TokenBytes, uncountedTokens } from './chunk-tokens.ts';
import { chat } from './dialects/chat.ts';
import { completions } from './dialects/completions.ts';
import { exchange, type Outcome } from './exchange.ts';
import { redactor } from './redact.ts';
import { type Capabilities, requestBody, withoutRefused } from './request-body.ts';
import { timeoutsOf } from './timeouts.ts';
import { createTransport } from './transport.ts';

export interface ClientOptions {
  /** Base URL with its version part: "http://127.0.0.1:8000/v1". */
  url: string;
  api: 'completions' | 'chat';
  /** The base model's name, sent when a request names no adapter. */
  model: string;
  apiKey: string | null;
  headers: Record<string, string>;
  /** Connections that `connect()` opens when it is given no number; more are opened whenever all are busy. */
  connections: number;
  /** Cuts a text into tokens, for servers that don't count per chunk; null when no tokenizer is at hand. */
  tokenBytes: TokenBytes | null;
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

export interface Client {
  /**
   * Never rejects. An aborted signal makes the outcome `cancelled`. `ended` is called when the request is over, with the
   * name of what went wrong on the way; its record may take a little longer, while tokens are counted.
   */
  send(
    spec: RequestSpec,
    context: SendContext,
    signal?: AbortSignal,
    ended?: (error: RequestError | null) => void,
  ): Promise<RequestRecord>;
  /** Opens connections ahead until `count` are open. @throws BenchError TARGET_UNREACHABLE, UNSUPPORTED (a limit here) */
  connect(count?: number): Promise<void>;
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
  let can: Capabilities = { continuousUsage: true, streamOptions: true };
  /** One answer's tokens after the other's: together they would fill a turn of the event loop. */
  let counting: Promise<unknown> = Promise.resolve();
  const tokensOf = ({ stream }: Outcome): Promise<ChunkTokens> | ChunkTokens => {
    const running = runningTokens(stream.chunks);
    if (running !== null) return running;
    const finalTokens = stream.usage?.completion_tokens ?? null;
    const counted = counting.then(() => uncountedTokens(stream.chunks, finalTokens, options.tokenBytes));
    counting = counted.catch(() => {}); // `counted` tells; the next answer's turn comes all the same
    return counted;
  };

  return {
    async send(spec, context, signal, ended) {
      const timeouts = timeoutsOf(context.timeoutMs);
      for (let again = false; ; again = true) {
        const asked = can;
        const body = requestBody(dialect, spec, { ...context, model: options.model }, asked);
        const request = { path, method: 'POST' as const, headers, body };
        const outcome = await exchange(transport, request, dialect, timeouts, signal);
        const next = outcome.status === 400 && outcome.detail !== null ? withoutRefused(asked, outcome.detail) : null;
        if (next === null) {
          ended?.(outcome.error);
          return recordOf(spec, context, outcome, await tokensOf(outcome), options, redact, again);
        }
        // Another request may have learnt more meanwhile: never ask again for what was refused.
        can = {
          continuousUsage: can.continuousUsage && next.continuousUsage,
          streamOptions: can.streamOptions && next.streamOptions,
        };
      }
    },
    connect: (count = options.connections) => transport.connect(count),
    close: () => transport.close(),
  };
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

function recordOf(
  spec: RequestSpec,
  context: SendContext,
  outcome: Outcome,
  { tokens, source }: ChunkTokens,
  options: ClientOptions,
  redact: (text: string) => string,
  again: boolean,
): RequestRecord {
  const { sent, stream } = outcome;
  const fault = outcome.cancelled ? null : outcome.error !== null ? outcome : faultOf(spec, outcome);
  return {
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
    chunks: stream.stamps.map((at, i) => [at - sent, tokens[i] ?? null]),
    firstOutput: stream.firstOutput === null ? null : stream.firstOutput - sent,
    end: outcome.end,
    outcome: outcome.cancelled ? 'cancelled' : fault === null ? 'ok' : 'failed',
    error: fault?.error ?? null,
    ...(fault?.detail == null ? {} : { detail: redact(fault.detail) }),
    usage: stream.usage,
    asked: { promptTokens: spec.promptTokens, outputTokens: spec.outputTokens },
    finish: stream.finish,
    tokenSource: source,
    timings: stream.timings,
  };
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
