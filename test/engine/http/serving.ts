/** A real HTTP server on a free loopback port over a scripted core, and the clients to talk to it. */
import { OpenAI } from 'openai';
import { afterEach } from 'vitest';
import { createHttpServer, type HttpServer } from '../../../engine/http/server.ts';
import type { InjectDelay } from '../../../engine/inject-delay.ts';
import { findModel } from '../../../engine/models/find-model.ts';
import { loadTokenizer, type Tokenizer } from '../../../engine/models/tokenizer.ts';
import { ScriptedCore, type ScriptedCoreOptions } from '../../support/scripted-core.ts';

export interface Serving {
  core: ScriptedCore;
  server: HttpServer;
  url: string;
  client: OpenAI;
  tokenizer: Tokenizer;
  /** What the server told a person. */
  logged: string[];
}

const open: Serving[] = [];

afterEach(async () => {
  for (const { core, server } of open.splice(0)) {
    await core.close();
    await server.close();
  }
});

/** @param options.folder a model's folder, whose geometry, name and tokenizer take the place of the preset's */
export async function serving(
  options: ScriptedCoreOptions & { folder?: string; injectDelay?: InjectDelay } = {},
): Promise<Serving> {
  const core = new ScriptedCore(options);
  const found = options.folder === undefined ? null : await findModel(options.folder);
  if (found !== null) core.info.geometry = found.geometry;
  const tokenizer = await loadTokenizer(found ?? 'llama-3');
  const logged: string[] = [];
  const { injectDelay = null } = options;
  const server = createHttpServer({ core, tokenizer, injectDelay, log: (line) => logged.push(line) });
  const url = await server.listen('127.0.0.1', 0);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const all = { core, server, url, client, tokenizer, logged };
  open.push(all);
  return all;
}

export const post = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** A chunk of a completion's stream, or the error in its place. */
export interface Chunk {
  choices: Array<{ text: string; finish_reason: string | null }>;
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
  timings?: Record<string, number | string | null>;
  error?: { type: string; message: string };
}

/** The events of a stream, which must end with [DONE]. */
export async function chunksOf(response: Response): Promise<Chunk[]> {
  const text = await response.text();
  const events = text.split('\n\n').map((event) => event.replace(/^data: /, ''));
  if (events.at(-2) !== '[DONE]' || events.at(-1) !== '')
    throw new Error(`the stream does not end as it should: ${text.slice(-200)}`);
  return events.slice(0, -2).map((event) => JSON.parse(event));
}

/** Waits until the condition holds; the test's own time limit bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
