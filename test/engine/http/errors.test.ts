import { once } from 'node:events';
import { connect } from 'node:net';
import { NotFoundError } from 'openai';
import { beforeEach, describe, expect, it } from 'vitest';
import { BODY_LIMIT } from '../../../engine/http/server.ts';
import { post, type Serving, serving } from './serving.ts';

const BASE = 'llama-3-8b';
const MESSAGES = [{ role: 'user', content: 'hi' }];

let s: Serving;
beforeEach(async () => {
  s = await serving({ maxModelLen: 100 });
});

/** Letters in no order, and nothing between them. */
const letters = (count: number) =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(97 + ((Math.imul(i + 1, 0x9e3779b1) >>> 8) % 26))).join(
    '',
  );

const errorOf = async (path: string, body: unknown) => {
  const response = await post(`${s.url}${path}`, body);
  const answer = (await response.json()) as {
    error: { message: string; type: string; param: string | null; code: unknown };
  };
  expect(Object.keys(answer.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(s.core.submitted).toHaveLength(0);
  return { status: response.status, ...answer.error };
};
const completion = (body: object) => errorOf('/v1/completions', { model: BASE, prompt: 'hi', ...body });
const chat = (body: object) => errorOf('/v1/chat/completions', { model: BASE, messages: MESSAGES, ...body });

describe('what a completion may not ask for', () => {
  it.each<[object, string]>([
    [{ max_tokens: 'ten' }, 'max_tokens'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ min_tokens: -1 }, 'min_tokens'],
    [{ min_tokens: 5, max_tokens: 4 }, 'min_tokens'],
    [{ ignore_eos: 'yes' }, 'ignore_eos'],
    [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: '0' }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ top_p: 1.1 }, 'top_p'],
    [{ top_k: -2 }, 'top_k'],
    [{ seed: 0.5 }, 'seed'],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    [{ stop: '' }, 'stop'],
    [{ stop: 5 }, 'stop'],
    [{ stream: 'true' }, 'stream'],
    [{ stream_options: { include_usage: true } }, 'stream_options'],
    [{ stream: true, stream_options: { include_use: true } }, 'stream_options.include_use'],
    [{ n: 2 }, 'n'],
    [{ best_of: 3 }, 'best_of'],
    [{ logprobs: 1 }, 'logprobs'],
    [{ echo: true }, 'echo'],
    [{ suffix: 'x' }, 'suffix'],
    [{ presence_penalty: 0.5 }, 'presence_penalty'],
    [{ logit_bias: { 5: 1 } }, 'logit_bias'],
    [{ stop_token_ids: [3] }, 'stop_token_ids'],
    [{ max_token: 5 }, 'max_token'],
    [{ prompt: '' }, 'prompt'],
    [{ prompt: [] }, 'prompt'],
    [{ prompt: 5 }, 'prompt'],
    [{ prompt: null }, 'prompt'],
    [{ prompt: [1, 128256] }, 'prompt'],
    [{ prompt: [1, -1] }, 'prompt.1'],
    [{ prompt: [1, 'a'] }, 'prompt.1'],
    [{ prompt: [1, 2, 1.5, -1] }, 'prompt.2'],
    [{ prompt: [[1, 2, null]] }, 'prompt.0.2'],
    [{ prompt: [{}] }, 'prompt.0'],
    [{ prompt: [[]] }, 'prompt'],
    [{ prompt: ['a', 'b'] }, 'prompt'],
    [{ model: 5 }, 'model'],
  ])('%j is refused, naming the parameter', async (body, param) => {
    const error = await completion(body);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error.message).toContain(param);
  });

  it.each([
    { n: 1, best_of: 1, logprobs: null, echo: false, suffix: null, user: 'me', logit_bias: {}, presence_penalty: 0 },
    { temperature: null, top_p: null, stop: null, max_tokens: null, stream: null, stream_options: null, seed: null },
    { top_k: -1, stop: [], stop_token_ids: [], skip_special_tokens: true, min_p: 0 },
  ])('%j asks for nothing special and is served', async (body) => {
    const response = await post(`${s.url}/v1/completions`, { model: BASE, prompt: 'hi', ...body });
    expect(response.status).toBe(200);
  });
});

describe('what a chat may not ask for', () => {
  it.each<[object, string]>([
    [{ tools: [{ type: 'function' }] }, 'tools'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ logprobs: true }, 'logprobs'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ messages: [] }, 'messages'],
    [{ messages: 'hi' }, 'messages'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content'],
    [{ messages: [...MESSAGES, { role: 'user', content: 'x', naem: 1 }, 5] }, 'messages.1.naem'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'x' }] }] }, 'messages.0.content'],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 'max_tokens'],
    [{ prompt: 'x' }, 'prompt'],
  ])('%j is refused, naming the parameter', async (body, param) => {
    const error = await chat(body);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error' });
    expect(error.param?.startsWith(param)).toBe(true);
  });

  it('serves tool_choice and tools that ask for none', async () => {
    const body = { model: BASE, messages: MESSAGES, tools: [], tool_choice: 'auto', logprobs: false, max_tokens: 1 };
    expect((await post(`${s.url}/v1/chat/completions`, body)).status).toBe(200);
  });
});

describe('the context length', () => {
  it.each([
    ['a prompt that fills it', { prompt: Array(100).fill(5) }],
    ['a prompt far beyond it', { prompt: 'word '.repeat(200_000) }],
    ['a list of ids far beyond it', { prompt: Array(500_000).fill(5) }],
    ['the same list in a list', { prompt: [Array(500_000).fill(5)] }],
    ['one endless run of letters', { prompt: 'a'.repeat(1_000_000) }],
    ['an unbroken text of many letters', { prompt: letters(262_144) }],
    ['a prompt and an output that exceed it', { prompt: Array(90).fill(5), max_tokens: 11 }],
  ])('refuses %s, with the numbers', async (_, body) => {
    const error = await completion(body);
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' });
    expect(error.message).toContain('100');
  });

  it('serves what just fits', async () => {
    const body = { model: BASE, prompt: Array(90).fill(5), max_tokens: 10 };
    expect((await post(`${s.url}/v1/completions`, body)).status).toBe(200);
  });

  it.each([
    ['by what is said', [{ role: 'user', content: 'word '.repeat(200) }]],
    ['by one endless run', [{ role: 'user', content: letters(262_144) }]],
    ['by the number of its messages', Array(26).fill({ role: 'user', content: '' })],
  ])('refuses a chat that exceeds it %s', async (_, messages) => {
    const error = await chat({ messages });
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });
});

describe('other faults', () => {
  it('an unknown model is a 404 that lists what there is', async () => {
    await s.core.loadAdapter('support', 'synthetic:rank=16,seed=1');
    const error = await completion({ model: 'gpt-4' });
    expect(error).toMatchObject({ status: 404, param: 'model', code: 'model_not_found' });
    expect(error.message).toContain('llama-3-8b, support');
    await expect(s.client.completions.create({ model: 'gpt-4', prompt: 'x' })).rejects.toBeInstanceOf(NotFoundError);
  });

  it.each(['{"model": ', '', 'nonsense', '{"model": NaN}'])('a body of %j is bad JSON', async (body) => {
    expect(await errorOf('/v1/completions', body)).toMatchObject({ status: 400, code: 'invalid_json' });
  });

  it.each(['[]', '"x"', 'null', '5'])('a body of %s is no object', async (body) => {
    expect(await errorOf('/v1/completions', body)).toMatchObject({ status: 400, type: 'invalid_request_error' });
  });

  it('a body over the limit is a 413', async () => {
    const error = await completion({ prompt: 'x'.repeat(BODY_LIMIT) });
    expect(error).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('another content type is a 415', async () => {
    const response = await post(`${s.url}/v1/completions`, '{}', { 'content-type': 'text/plain' });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported_media_type' } });
  });

  it.each([
    ['GET', '/v1/completions'],
    ['GET', '/'],
    ['POST', '/v1/embeddings'],
    ['GET', '/%zz'],
  ])('%s %s is an error in JSON', async (method, path) => {
    const response = await fetch(`${s.url}${path}`, { method });
    expect([400, 404]).toContain(response.status);
    expect(await response.json()).toMatchObject({
      error: { message: expect.any(String), type: 'invalid_request_error' },
    });
  });

  it('a failure before the first byte of a whole answer has its own status', async () => {
    const slow = await serving({ prefillMs: 10_000 });
    for (const [code, status] of [
      ['adapter_gone', 404],
      ['device_lost', 503],
    ] as const) {
      const answer = post(`${slow.url}/v1/completions`, { model: BASE, prompt: 'x' });
      while (slow.core.live === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      slow.core.failAll(code);
      expect((await answer).status).toBe(status);
    }
  });

  it('what is no HTTP gets a 400 in JSON, and the server lives on', async () => {
    const { hostname, port } = new URL(s.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    let received = '';
    socket.setEncoding('utf8').on('data', (data: string) => (received += data));
    socket.write('NONSENSE\r\n\r\n');
    await once(socket, 'close');
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(received.slice(received.indexOf('\r\n\r\n')))).toMatchObject({ error: { code: 'bad_http' } });
    expect((await fetch(`${s.url}/health`)).status).toBe(200);
  });
});
