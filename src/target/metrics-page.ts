/**
 * A server's page of metrics: where it is, and one reading of it, bounded in time and size. In: the places it may be at.
 * Out: what it says and when it said so, or why there is nothing.
 */
import { Agent, request } from 'undici';
import { readingOf, type ServerReading } from './server-series.ts';

/** A page of vLLM's has 0.2 MB; one larger than this is no page of metrics. */
const LARGEST_PAGE = 8_000_000;
const SCRAPE_TIMEOUT_MS = 2_000;

/**
 * Places of the page, most likely first: beside /v1 (vLLM, SGLang, llama.cpp, the engine), below it (NIM 1.x), and where
 * trtllm-serve has it, whose /metrics is JSON.
 */
export function metricsUrls(baseUrl: string): string[] {
  const root = baseUrl.replace(/\/v\d+$/, '');
  return [...new Set([`${root}/metrics`, `${baseUrl}/metrics`, `${root}/prometheus/metrics`])];
}

/** Nothing was read. `absent`: there is no such page here, which is no fault of the server's. */
export class NoPage extends Error {
  override readonly name = 'NoPage';
  readonly absent: boolean;

  constructor(message: string, options: { absent?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.absent = options.absent ?? false;
  }
}

export interface PageReading extends ServerReading {
  url: string;
  /** When the answer began, as `now` tells. */
  at: number;
}

export class MetricsPage {
  readonly #headers: Record<string, string>;
  readonly #now: () => number;
  /** One connection, kept: a new one a second would cost more than the page. */
  readonly #agent = new Agent({ connections: 1, connect: { timeout: SCRAPE_TIMEOUT_MS } });
  /** Those it may be at; one, once it was found. */
  #urls: readonly string[];

  constructor(urls: readonly string[], headers: Record<string, string>, now: () => number) {
    this.#urls = urls;
    this.#headers = headers;
    this.#now = now;
  }

  /** @throws NoPage */
  async read(signal: AbortSignal): Promise<PageReading> {
    let absent: NoPage | null = null;
    for (const url of this.#urls) {
      try {
        const reading = await this.#readAt(url, signal);
        this.#urls = [reading.url];
        return reading;
      } catch (error) {
        const reason = error instanceof NoPage ? error : noPage(url, error);
        if (!reason.absent) throw reason;
        absent ??= reason;
      }
    }
    throw absent ?? new NoPage('there is no place to look for metrics', { absent: true });
  }

  async close(): Promise<void> {
    await this.#agent.destroy().catch(() => {}); // nobody waits for what is cut
  }

  async #readAt(url: string, signal: AbortSignal, redirected = false): Promise<PageReading> {
    const limit = new AbortController();
    const stop = () => limit.abort(signal.reason);
    const timer = setTimeout(
      () => limit.abort(new NoPage(`${url} took more than ${SCRAPE_TIMEOUT_MS / 1000} s`)),
      SCRAPE_TIMEOUT_MS,
    );
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      const response = await request(url, { headers: this.#headers, dispatcher: this.#agent, signal: limit.signal });
      const at = this.#now();
      const { statusCode, headers, body } = response;
      const text = await limited(body, url);
      const moved = redirected || statusCode < 301 || statusCode > 308 ? null : sameOrigin(headers['location'], url);
      if (moved !== null) return await this.#readAt(moved, signal, true);
      if (statusCode !== 200) throw new NoPage(`${url} answered ${statusCode}`, { absent: isAbsent(statusCode) });
      const reading = readingOf(text);
      if (Object.keys(reading.values).length > 0) return { ...reading, url, at };
      throw new NoPage(`${url} has none of the metrics that are known here`, { absent: true });
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }
}

async function limited(body: AsyncIterable<Buffer>, url: string): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > LARGEST_PAGE) throw new NoPage(`${url} sent more than ${LARGEST_PAGE / 1e6} MB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

const isAbsent = (status: number): boolean => status === 404 || status === 405 || status === 501;

/** Mounted pages send "/metrics" on to "/metrics/". Elsewhere the headers, which hold the key, do not go. */
function sameOrigin(location: string | string[] | undefined, url: string): string | null {
  if (typeof location !== 'string' || !URL.canParse(location, url)) return null;
  const target = new URL(location, url);
  return target.origin === new URL(url).origin ? target.href : null;
}

function noPage(url: string, error: unknown): NoPage {
  const { code, message } = error as { code?: string; message?: string };
  return new NoPage(`${url}: ${code === 'ECONNREFUSED' ? 'connection refused' : message || code || String(error)}`, {
    cause: error,
  });
}
