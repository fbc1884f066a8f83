/** What client tests share: a spec, a context and a client for a server, with only what a test cares about spelt out. */
import type { TokenBytes } from '../../src/client/chunk-tokens.ts';
import { type Client, type ClientOptions, counted, createClient, type SendContext } from '../../src/client/client.ts';
import { now } from '../../src/client/clock.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
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

/** A client as the runner uses it: what it sends is counted, too. */
export interface CountingClient extends Omit<Client, 'send' | 'connect'> {
  send(spec: RequestSpec, context: SendContext, signal?: AbortSignal): Promise<RequestRecord>;
  connect(count?: number): Promise<void>;
}

export interface CountingOptions extends Partial<ClientOptions> {
  tokenBytes?: TokenBytes | null;
  /** What connect() opens when it is given no number. */
  connections?: number;
}

export function clientFor(
  url: string,
  { tokenBytes = null, connections = 1, ...over }: CountingOptions = {},
): CountingClient {
  const client = createClient({ url, api: 'completions', model: 'base', apiKey: null, headers: {}, ...over });
  return {
    ...client,
    get can() {
      return client.can;
    },
    connect: (count = connections) => client.connect(count),
    send: async (spec, context, signal) => counted(await client.send(spec, context, signal), tokenBytes),
  };
}
