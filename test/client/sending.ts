/** What client tests share: a spec, a context and a client for a server, with only what a test cares about spelt out. */
import { type Client, type ClientOptions, createClient, type SendContext } from '../../src/client/client.ts';
import { now } from '../../src/client/clock.ts';
import type { RequestSpec } from '../../src/workload/request.ts';

export const spec = (over: Partial<RequestSpec> = {}): RequestSpec => ({
  i: 0,
  phase: 'measure',
  adapter: null,
  prompt: 'one two three',
  promptTokens: 3,
  outputTokens: 6,
  control: 'exact',
  intendedOffset: null,
  ...over,
});

export const context = (over: Partial<SendContext> = {}): SendContext => ({
  run: 'c1.0',
  attempt: 1,
  intended: now(),
  temperature: 0,
  extraBody: {},
  timeoutMs: 10_000,
  ...over,
});

export const clientFor = (url: string, over: Partial<ClientOptions> = {}): Client =>
  createClient({
    url,
    api: 'completions',
    model: 'base',
    apiKey: null,
    headers: {},
    connections: 1,
    tokenBytes: null,
    ...over,
  });
