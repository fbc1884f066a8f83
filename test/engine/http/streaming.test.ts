import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { chunksOf, post, serving, until } from './serving.ts';

const BASE = 'llama-3-8b';
const llama = (text: string) => ({ model: BASE, prompt: text, stream: true });

describe('streams, by the openai package', () => {
  it('bring every token of a completion and end with its reason', async () => {
    const { client } = await serving();
    const stream = await client.completions.create({ model: BASE, prompt: 'one two', max_tokens: 4, stream: true });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map((c) => c.choices[0]!.text)).toEqual(['one', ' two', 'one', ' two']);
    expect(chunks.map((c) => c.choices[0]!.finish_reason)).toEqual([null, null, null, 'length']);
    expect(new Set(chunks.map((c) => c.id)).size).toBe(1);
  });

  it('bring a chat, the role in its first chunk, usage in its last', async () => {
    const { client } = await serving({ script: () => ({ ids: [9906, 1917], eos: true }) });
    const stream = await client.chat.completions.create({
      model: BASE,
      messages: [{ role: 'user', content: 'Hello world!' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map((c) => c.choices[0]?.delta)).toEqual([
      { role: 'assistant', content: 'Hello' },
      { content: ' world' },
      undefined,
    ]);
    expect(chunks[1]!.choices[0]!.finish_reason).toBe('stop');
    expect(chunks[2]).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 13, completion_tokens: 2, total_tokens: 15 },
    });
  });
});

describe('streams, as bytes', () => {
  it('count usage up with every token, also of those whose text is held back', async () => {
    const { url } = await serving();
    const body = {
      ...llama('a🦙b'),
      max_tokens: 5,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    };
    const chunks = await chunksOf(await post(`${url}/v1/completions`, body));
    expect(chunks.map((c) => c.choices[0]?.text)).toEqual(['a', '', '', '🦙', 'b', undefined]);
    expect(chunks.map((c) => c.usage?.completion_tokens)).toEqual([1, 2, 3, 4, 5, 5]);
    expect(chunks.every((c) => c.usage?.prompt_tokens === 5)).toBe(true);
  });

  it('have usage in no chunk where it was not asked for', async () => {
    const { url } = await serving();
    const chunks = await chunksOf(await post(`${url}/v1/completions`, { ...llama('one'), max_tokens: 3 }));
    expect(chunks).toHaveLength(3);
    expect(chunks.some((c) => 'usage' in c)).toBe(false);
  });

  it('hold text back that may begin a stop string, and end at one that spans tokens', async () => {
    const { url, core } = await serving({ stepMs: 2 });
    const body = { ...llama('one two three four'), max_tokens: 500, stop: ['never', 'wo thr'] };
    const chunks = await chunksOf(await post(`${url}/v1/completions`, body));
    // "ne" could have begun "never".
    expect(chunks.map((c) => c.choices[0]?.text)).toEqual(['o', 'ne t', '']);
    expect(chunks.map((c) => c.choices[0]?.finish_reason)).toEqual([null, null, 'stop']);
    expect(core.cancelled).toBe(1);
  });

  it('split several ids that came at once into a chunk each', async () => {
    const { url } = await serving({ idsPerCall: 3 });
    const body = { ...llama('one two'), max_tokens: 5, stream_options: { continuous_usage_stats: true } };
    const chunks = await chunksOf(await post(`${url}/v1/completions`, body));
    expect(chunks.map((c) => c.usage?.completion_tokens)).toEqual([1, 2, 3, 4, 5]);
    expect(chunks.map((c) => c.choices[0]?.finish_reason)).toEqual([null, null, null, null, 'length']);
  });

  it('end a sequence that gives no token at all', async () => {
    const { url } = await serving({ script: () => ({ ids: [], eos: true }) });
    const chunks = await chunksOf(
      await post(`${url}/v1/completions`, { ...llama('one'), stream_options: { include_usage: true } }),
    );
    expect(chunks).toMatchObject([
      { choices: [{ text: '', finish_reason: 'stop' }] },
      { choices: [], usage: { completion_tokens: 0 } },
    ]);
  });

  it('say where the time went, in the last chunk only', async () => {
    const { url } = await serving({ prefillMs: 60, stepMs: 20 });
    const ask = async (stream_options: object) =>
      chunksOf(await post(`${url}/v1/completions`, { ...llama('one'), max_tokens: 4, stream_options }));
    for (const options of [{ include_usage: true }, {}]) {
      const chunks = await ask(options);
      expect(chunks.slice(0, -1).some((c) => 'timings' in c)).toBe(false);
      const timings = chunks.at(-1)!.timings!;
      expect(Object.keys(timings)).toEqual([
        'queue_ms',
        'adapter_ms',
        'adapter_tier',
        'adapter_bytes',
        'adapter_load_ms',
        'prefill_ms',
        'decode_ms',
        'ttft_ms',
        'stream_ms',
      ]);
      expect(timings).toMatchObject({
        queue_ms: 0,
        adapter_ms: 0,
        adapter_tier: null,
        adapter_bytes: 0,
        adapter_load_ms: 0,
      });
      // The script's delays are lower bounds (timers may fire a millisecond early); what comes on top is the server's.
      expect(timings['prefill_ms']).toBeGreaterThan(58);
      expect(timings['ttft_ms']).toBeGreaterThanOrEqual(timings['prefill_ms'] as number);
      expect(timings['decode_ms']).toBeGreaterThan(3 * 19);
      expect(timings['stream_ms']).toBeGreaterThan(3 * 19 - 5);
    }
  });

  it('send headers at once and each token when it is there', async () => {
    const { url, core } = await serving({ prefillMs: 1000, stepMs: 60_000 });
    const response = await post(`${url}/v1/completions`, { ...llama('one two'), max_tokens: 3 });
    expect(core.stats().generatedTokens).toBe(0);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    expect(Buffer.from(value!).toString()).toContain('"text":"one"');
    expect(core.stats().generatedTokens).toBe(1);
    await reader.cancel();
  });
});

describe('a client that goes away', () => {
  it.each([true, false])('cancels its sequence (stream: %s)', async (stream) => {
    const { url, core } = await serving({ stepMs: 10 });
    const abort = new AbortController();
    const request = fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...llama('one'), stream, max_tokens: 2000 }),
      signal: abort.signal,
    }).then((response) => response.text());
    const failed = request.catch((error: Error) => error.name);
    await until(() => core.live === 1);
    await sleep(50);
    expect(core.cancelled).toBe(0);
    abort.abort();
    expect(await failed).toBe('AbortError');
    await until(() => core.cancelled === 1);
    expect(core.live).toBe(0);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/lorabench:request_ends_total\{outcome="cancelled".*\} 1/);
  });

  it('and reset its connection leaves the server well', async () => {
    const { url, core, client } = await serving({ stepMs: 1 });
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const body = JSON.stringify({ ...llama('one'), max_tokens: 2000 });
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'data');
    socket.resetAndDestroy();
    await until(() => core.cancelled === 1);
    const answer = await client.completions.create({ model: BASE, prompt: 'one', max_tokens: 2 });
    expect(answer.choices[0]!.text).toBe('oneone');
  });
});

describe('a client that reads slowly', () => {
  it('gets every token in the end', async () => {
    const { url, core } = await serving({ maxModelLen: 100_000, idsPerCall: 2000 });
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.pause();
    const body = JSON.stringify({ ...llama('one'), max_tokens: 60_000, stream_options: { include_usage: true } });
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    // All is produced, about 12 MB, far more than the socket's buffers, while nothing is read.
    await until(() => core.submitted.length === 1 && core.live === 0);
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (data: string) => (received += data));
    socket.resume();
    await once(socket, 'end');
    expect(received.split('"text":"one"').length - 1).toBe(60_000);
    expect(received).toContain('"completion_tokens":60000');
    expect(received).toContain('data: [DONE]');
  });
});

describe('a stream that fails', () => {
  it.each([
    ['device_lost', 'server_error'],
    ['adapter_gone', 'invalid_request_error'],
  ] as const)('tells %s as an event', async (code, type) => {
    const { url, core } = await serving({ stepMs: 10 });
    const response = await post(`${url}/v1/completions`, { ...llama('one'), max_tokens: 2000 });
    core.failAll(code);
    const chunks = await chunksOf(response);
    expect(chunks.at(-1)).toMatchObject({ error: { type, message: expect.any(String) } });
  });
});
