/**
 * The few unmeasured requests to a server: probing it, loading adapters. In: method, URL, body. Out: status and body, or
 * a sentence for why there was no answer.
 *
 * Apart from client/, which is built for stamps; here only the words of a failure matter.
 */
import { Agent, request } from 'undici';

export interface Answer {
  status: number;
  text: string;
  /** The body parsed, or undefined when it is not JSON. */
  json: unknown;
}

/** Nobody answered. `refused` when the address is right but nothing listens there. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly kind: 'refused' | 'dns' | 'timeout' | 'tls' | 'bad_url' | 'other';

  constructor(kind: NoAnswer['kind'], message: string, cause: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export interface Call {
  method?: 'GET' | 'POST';
  body?: unknown;
  headers?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** No connection is kept: a probe must meet the server as it is now, and must not hold the process open. */
export async function call(url: string, options: Call = {}): Promise<Answer> {
  const { method = 'GET', body, headers = {}, timeoutMs = 10_000, signal } = options;
  const dispatcher = new Agent({ connect: { timeout: timeoutMs }, keepAliveTimeout: 1, pipelining: 0 });
  try {
    const response = await request(url, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      dispatcher,
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.body.text();
    return { status: response.statusCode, text, json: parsed(text) };
  } catch (error) {
    throw asNoAnswer(error);
  } finally {
    void dispatcher.destroy().catch(() => {}); // nothing is in flight; how its sockets close changes no answer
  }
}

/**
 * The server's own words for a failure: OpenAI's error object, a `message`, FastAPI's `detail`, SGLang's `error_message`, or
 * the start of the text.
 */
export function serverWords({ json, text }: Answer): string {
  const object = json as
    | { error?: { message?: unknown } | string; message?: unknown; detail?: unknown; error_message?: unknown }
    | null
    | undefined;
  const error = object?.error;
  const own = typeof error === 'object' ? error?.message : error;
  const words = own ?? object?.message ?? object?.detail ?? object?.error_message ?? text;
  return (typeof words === 'string' ? words : JSON.stringify(words)).replace(/\s+/g, ' ').trim().slice(0, 200);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asNoAnswer(thrown: unknown): NoAnswer {
  const error = deepest(thrown);
  const code = String((error as { code?: unknown }).code ?? '');
  const message = error.message === '' ? code : error.message;
  if (code === 'ECONNREFUSED') return new NoAnswer('refused', 'connection refused', thrown);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new NoAnswer('dns', 'the host name does not resolve', thrown);
  if (/TIMEOUT/i.test(code)) return new NoAnswer('timeout', 'no answer in time', thrown);
  if (/CERT|TLS|SSL|EPROTO/i.test(code)) return new NoAnswer('tls', `TLS: ${message}`, thrown);
  if (code === 'ERR_INVALID_URL' || code === 'UND_ERR_INVALID_ARG') return new NoAnswer('bad_url', message, thrown);
  return new NoAnswer('other', message, thrown);
}

/** Node wraps the attempts on several addresses into one AggregateError without a message; the first tells enough. */
function deepest(thrown: unknown): Error {
  if (thrown instanceof AggregateError && thrown.errors[0] instanceof Error) return deepest(thrown.errors[0]);
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
