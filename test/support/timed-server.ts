/**
 * A real OpenAI-compatible server on loopback whose timings are known: it writes each chunk when told to, and notes when
 * it really did.
 *
 * In: time to first token, time between chunks, tokens a chunk, which quirks and faults to have. Out: its URL and a log of
 * what it received and when it wrote what, to hold a client's stamps against.
 *
 * It knows nothing of the project's own code, so that agreement with it means something, and so that it can run as a
 * process of its own (timed-server-process.ts).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export type Fault =
  /** Closes the connection without an answer. */
  | 'reset_before_headers'
  /** Closes it after `faultAfterChunks` chunks. */
  | 'reset_mid_stream'
  /** Never answers. */
  | 'stall_before_headers'
  /** Sends headers and nothing else. */
  | 'stall_before_content'
  /** Stops after `faultAfterChunks` chunks and keeps the connection open. */
  | 'stall_mid_stream'
  /** Ends the body properly, but in the middle of the answer. */
  | 'end_early'
  /** 200, [DONE], and nothing between. */
  | 'no_content'
  /** An error object as an event after `faultAfterChunks` chunks. */
  | 'error_in_stream'
  /** 200 with an event that is not JSON. */
  | 'garbage'
  /** 200 with bytes that are not even HTTP. */
  | 'not_http'
  /** An error answer. */
  | { status: number; body: string; headers?: Record<string, string> }
  /** Anything else (fault-server.ts): writes bytes to the connection; true when that is ready for another request. */
  | { wire: (socket: Socket, served: ServedRequest) => boolean | Promise<boolean> };

export interface TimedServerOptions {
  model: string;
  adapters: string[];
  /** From the request read to the first content chunk written, in ms. `n` counts requests from 0. */
  ttftMs: number | ((n: number) => number);
  /** From one content chunk to the next, in ms. */
  gapMs: number;
  tokensPerChunk: number;
  /** Where tokens are counted: on every chunk, on the last event, nowhere. */
  usage: 'continuous' | 'final' | 'none';
  /** 400 when asked for what it doesn't have, as strict servers do; otherwise it is ignored. */
  refuse: 'nothing' | 'continuous_usage_stats' | 'stream_options';
  /** Tokens it really produces of those asked for. */
  produce: (asked: number) => number;
  finish: string | ((asked: number, produced: number) => string);
  /** Begin a chat with a delta that has a role only. */
  roleChunk: boolean;
  /** So many chunks of a chat are reasoning first. */
  reasoningChunks: number;
  /** Text of each chunk; "" makes a hidden token, seen only in the usage. */
  text: (chunk: number) => string;
  done: boolean;
  lineEnd: '\n' | '\r\n';
  /** 401 for requests without this key. */
  apiKey: string | null;
  /** Send the engine's `timings` with the last chunk. */
  timings: boolean;
  fault: (n: number, body: Record<string, unknown>) => Fault | null;
  faultAfterChunks: number;
  /** 0 takes any free one. */
  port: number;
  /** Nanoseconds; give the client's clock to compare stamps in one process. */
  clock: () => number;
}

export interface ServedRequest {
  n: number;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: Record<string, unknown>;
  /** Stamps: the request was read, each content chunk was written, the answer ended or its connection closed. */
  received: number;
  chunks: { at: number; tokens: number }[];
  ended: number | null;
  /** The client closed the connection before the answer was whole. */
  aborted: boolean;
}

export interface TimedServer {
  /** With /v1. */
  url: string;
  port: number;
  /** Generation requests in the order in which they came. */
  log: ServedRequest[];
  /** Connections that are or were open. */
  readonly connections: number;
  /** Ends it at once, cutting what is in flight. */
  close(): Promise<void>;
}

const DEFAULTS: TimedServerOptions = {
  model: 'base',
  adapters: [],
  ttftMs: 20,
  gapMs: 5,
  tokensPerChunk: 1,
  usage: 'continuous',
  refuse: 'nothing',
  produce: (asked) => asked,
  finish: 'length',
  roleChunk: true,
  reasoningChunks: 0,
  text: (chunk) => ` word${chunk}`,
  done: true,
  lineEnd: '\n',
  apiKey: null,
  timings: false,
  fault: () => null,
  faultAfterChunks: 2,
  port: 0,
  clock: () => Number(process.hrtime.bigint()),
};

export async function startTimedServer(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const settings = { ...DEFAULTS, ...options };
  const log: ServedRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    answer(request, response, settings, log).catch((error: unknown) => {
      response.destroy(error as Error);
    });
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.setNoDelay(true).once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    port,
    log,
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  settings: TimedServerOptions,
  log: ServedRequest[],
): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const received = settings.clock();
  const path = (request.url ?? '').split('?')[0] ?? '';
  if (settings.apiKey !== null && request.headers.authorization !== `Bearer ${settings.apiKey}`) {
    const given = request.headers.authorization ?? 'nothing';
    sendError(response, 401, `Incorrect API key provided: ${given}`);
    return;
  }
  if (path === '/health') {
    response.end('{}');
    return;
  }
  if (path === '/v1/models') {
    sendModels(response, settings);
    return;
  }
  if (path !== '/v1/completions' && path !== '/v1/chat/completions') {
    sendError(response, 404, `no route ${path}`);
    return;
  }
  const body = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>;
  const served: ServedRequest = {
    n: log.length,
    path,
    headers: request.headers,
    body,
    received,
    chunks: [],
    ended: null,
    aborted: false,
  };
  log.push(served);
  response.once('close', () => {
    served.ended = settings.clock();
    served.aborted = !response.writableFinished;
  });
  await generate(response, served, settings);
}

function sendError(response: ServerResponse, status: number, message: string): void {
  const body = { error: { message, type: 'invalid_request_error', param: null, code: null } };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function sendModels(response: ServerResponse, { model, adapters }: TimedServerOptions): void {
  const base = { id: model, object: 'model', created: 0, owned_by: 'test', parent: null };
  const data = [base, ...adapters.map((id) => ({ ...base, id, parent: model }))];
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
}

/** Waits until `at` by the server's clock: timers alone may be a millisecond early or late. */
async function waitUntil(at: number, { clock }: TimedServerOptions, response: ServerResponse): Promise<boolean> {
  for (;;) {
    const left = (at - clock()) / 1e6;
    if (response.destroyed) return false;
    if (left <= 0) return true;
    await new Promise<void>((resolve) => {
      if (left > 1) setTimeout(resolve, left - 1);
      else setImmediate(resolve);
    });
  }
}

/** What was written has left for the network, so that cutting the connection cuts behind it. */
async function flushed({ socket }: ServerResponse): Promise<void> {
  while (socket !== null && !socket.destroyed && socket.writableLength > 0) await new Promise(setImmediate);
}

async function generate(response: ServerResponse, served: ServedRequest, settings: TimedServerOptions): Promise<void> {
  const { body } = served;
  const options = (body['stream_options'] ?? {}) as Record<string, unknown>;
  const refused = refusalOf(body, options, settings);
  if (refused !== null) return sendError(response, 400, refused);
  const known = [settings.model, ...settings.adapters];
  if (!known.includes(String(body['model']))) {
    return sendError(response, 404, `The model \`${String(body['model'])}\` does not exist.`);
  }

  const fault = settings.fault(served.n, body);
  if (fault === 'reset_before_headers') return void response.socket?.destroy();
  if (fault === 'not_http') return void response.socket?.end('this is not HTTP\r\n\r\n');
  if (fault === 'stall_before_headers') return;
  if (typeof fault === 'object' && fault !== null) {
    if ('wire' in fault) {
      const whole = await fault.wire(response.socket as Socket, served);
      if (whole) response.emit('finish'); // Node's server then turns to the connection's next request
      return;
    }
    response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end(fault.body);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
  if (fault === 'stall_before_content') return;

  const chat = served.path.endsWith('/chat/completions');
  const asked = Number(body['max_tokens']);
  const produced = settings.produce(asked);
  const promptTokens = String(JSON.stringify(body['messages'] ?? body['prompt'])).split(' ').length;
  const usageAt = (completion: number) => ({
    prompt_tokens: promptTokens,
    completion_tokens: completion,
    total_tokens: promptTokens + completion,
  });
  const running = settings.usage === 'continuous' && options['continuous_usage_stats'] === true;
  const send = (event: Record<string, unknown>) => {
    const object = chat ? 'chat.completion.chunk' : 'text_completion'; // AIPerf takes no event without it
    const whole = { id: `r${served.n}`, object, created: 0, model: body['model'], ...event };
    response.write(`data: ${JSON.stringify(whole)}${settings.lineEnd}${settings.lineEnd}`);
  };
  const choice = (text: string | null, reasoning: boolean, finish: string | null) => {
    if (!chat) return { index: 0, text: text ?? '', finish_reason: finish };
    const delta =
      text === null ? { role: 'assistant', content: '' } : { [reasoning ? 'reasoning_content' : 'content']: text };
    return { index: 0, delta, finish_reason: finish };
  };

  if (chat && settings.roleChunk)
    send({ choices: [choice(null, false, null)], ...(running ? { usage: usageAt(0) } : {}) });
  const ttft = typeof settings.ttftMs === 'number' ? settings.ttftMs : settings.ttftMs(served.n);
  let sentTokens = 0;
  for (let chunk = 0; sentTokens < produced; chunk++) {
    if (fault === 'no_content') break;
    if (!(await waitUntil(served.received + (ttft + chunk * settings.gapMs) * 1e6, settings, response))) return;
    if (chunk === settings.faultAfterChunks) {
      if (fault !== null) await flushed(response);
      if (fault === 'reset_mid_stream') return void response.socket?.destroy();
      if (fault === 'stall_mid_stream') return;
      if (fault === 'end_early') return void response.end();
      if (fault === 'error_in_stream') {
        send({ error: { message: 'the engine ran out of cake', code: 500 } });
        return void response.end();
      }
      if (fault === 'garbage') {
        response.write(`data: {"choices": [${settings.lineEnd}${settings.lineEnd}`);
        return void response.end();
      }
    }
    const tokens = Math.min(settings.tokensPerChunk, produced - sentTokens);
    sentTokens += tokens;
    const last = sentTokens === produced;
    const { finish } = settings;
    const why = typeof finish === 'string' ? finish : finish(asked, produced);
    served.chunks.push({ at: settings.clock(), tokens });
    send({
      choices: [choice(settings.text(chunk), chunk < settings.reasoningChunks, last ? why : null)],
      ...(running ? { usage: usageAt(sentTokens) } : {}),
      ...(last && settings.timings ? { timings: timingsOf(served) } : {}),
    });
  }
  if (settings.usage !== 'none' && options['include_usage'] === true) send({ choices: [], usage: usageAt(sentTokens) });
  if (settings.done) response.write(`data: [DONE]${settings.lineEnd}${settings.lineEnd}`);
  response.end();
}

function refusalOf(
  body: Record<string, unknown>,
  options: Record<string, unknown>,
  { refuse }: TimedServerOptions,
): string | null {
  if (refuse === 'stream_options' && body['stream_options'] !== undefined) return 'Unknown field: stream_options';
  if (refuse === 'continuous_usage_stats' && options['continuous_usage_stats'] !== undefined) {
    return "Extra inputs are not permitted: 'continuous_usage_stats'";
  }
  return null;
}

function timingsOf({ received, chunks }: ServedRequest): Record<string, unknown> {
  const first = chunks[0]?.at ?? received;
  const last = chunks.at(-1)?.at ?? received;
  return {
    queue_ms: 0,
    adapter_ms: 0,
    adapter_tier: null,
    prefill_ms: (first - received) / 1e6,
    decode_ms: (last - first) / 1e6,
    ttft_ms: (first - received) / 1e6,
    stream_ms: (last - first) / 1e6,
  };
}
