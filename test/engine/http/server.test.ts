import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createHttpServer } from '../../../engine/http/server.ts';
import { chunksOf, post, serving, until } from './serving.ts';

const BASE = 'llama-3-8b';

describe('health and version', () => {
  it('answer, and health says when the device is lost', async () => {
    const { url, core } = await serving();
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(await (await fetch(`${url}/version`)).json()).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    core.die('the driver gave up');
    await sleep(0);
    const response = await fetch(`${url}/health`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'device_lost' } });
  });

  it('answer while a huge prompt is tokenized', async () => {
    const { url } = await serving({ maxModelLen: 2_000_000 });
    // About 0.5 s of tokenizing.
    const body = JSON.stringify({
      model: BASE,
      prompt: 'The quick brown fox jumps over 13 lazy dogs. '.repeat(20_000),
      max_tokens: 1,
    });
    await fetch(`${url}/health`);
    let done = false;
    const completion = post(`${url}/v1/completions`, body).then((response) => {
      done = true;
      return response.json();
    });
    let answered = 0;
    while (!done) {
      expect((await fetch(`${url}/health`)).status).toBe(200);
      if (!done) answered += 1;
    }
    expect(await completion).toMatchObject({ usage: { prompt_tokens: 220_001, completion_tokens: 1 } });
    // Blocked in one piece, at most one or two would be answered meanwhile.
    expect(answered).toBeGreaterThan(5);
  });
});

describe('/tokenize', () => {
  it('gives the ids of text and of a chat', async () => {
    const { url } = await serving();
    const ask = async (body: object) => (await post(`${url}/tokenize`, body)).json();
    expect(await ask({ prompt: 'Hello world!' })).toEqual({ count: 3, max_model_len: 2048, tokens: [9906, 1917, 0] });
    expect(await ask({ model: BASE, prompt: 'Hello', add_special_tokens: true })).toMatchObject({
      tokens: [128000, 9906],
    });
    expect(await ask({ messages: [{ role: 'user', content: 'Hello world!' }] })).toMatchObject({ count: 13 });
    expect(await ask({ prompt: '' })).toMatchObject({ count: 0, tokens: [] });
    expect(await ask({ prompt: 'x', messages: [{ role: 'user', content: 'x' }] })).toMatchObject({
      error: { param: 'prompt' },
    });
    expect(await ask({ model: 'zz', prompt: 'x' })).toMatchObject({ error: { code: 'model_not_found' } });
  });
});

describe('/tokenize of what no context holds', () => {
  it.each([
    ['one letter', 'a'.repeat(262_144), 32_768],
    ['a stretch of all letters', 'qzjxkvbwpf'.repeat(26_000), null],
    ['line ends', '\n'.repeat(300_000), null],
  ])('counts it: %s', async (_, prompt, count) => {
    const { url, tokenizer } = await serving();
    const response = await post(`${url}/tokenize`, { prompt });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as { count: number; tokens: number[] };
    expect(answer.count).toBe(answer.tokens.length);
    if (count !== null) expect(answer.count).toBe(count);
    expect(tokenizer.decode(answer.tokens) === prompt).toBe(true);
  });
});

describe('/metrics', () => {
  it('counts requests and tokens under the names of vLLM', async () => {
    const { url, core, client } = await serving({ stepMs: 20 });
    await core.loadAdapter('support', 'synthetic:rank=16,seed=1');
    await client.completions.create({ model: BASE, prompt: 'one two', max_tokens: 3 });
    const running = post(`${url}/v1/completions`, { model: 'support', prompt: 'x', max_tokens: 100, stream: true });
    await until(() => core.stats().generatedTokens > 4);
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    const labels = `{model_name="${BASE}"}`;
    for (const line of [
      `vllm:num_requests_running${labels} 1`,
      `vllm:num_requests_waiting${labels} 0`,
      `vllm:prompt_tokens_total${labels} 3`,
      `vllm:time_to_first_token_seconds_count${labels} 2`,
      `vllm:e2e_request_latency_seconds_count${labels} 1`,
      `vllm:time_per_output_token_seconds_count${labels} 1`,
      `vllm:request_success_total{finished_reason="length",model_name="${BASE}"} 1`,
      `lorabench:lora_bytes{lora_name="support",rank="16",model_name="${BASE}"} 16000`,
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toMatch(
      /vllm:lora_requests_info\{max_lora="4",running_lora_adapters="support",waiting_lora_adapters="",.*\} \d/,
    );
    expect(text).toMatch(/vllm:gpu_cache_usage_perc\{.*\} 0\.0009\d+/);
    await chunksOf(await running);
    const generated = /vllm:generation_tokens_total\{.*\} (\d+)/.exec(await (await fetch(`${url}/metrics`)).text());
    expect(generated?.[1]).toBe('103');
  });
});

describe('listening and closing', () => {
  it('says when the port is in use', async () => {
    const { url, core, tokenizer } = await serving();
    const port = Number(new URL(url).port);
    const second = createHttpServer({ core, tokenizer, log: () => {} });
    await expect(second.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'port_in_use',
      exitCode: 2,
      message: expect.stringContaining(`${port}`),
    });
    await second.close();
  });

  it('says when the address is not of this machine', async () => {
    const { core, tokenizer } = await serving();
    const other = createHttpServer({ core, tokenizer, log: () => {} });
    await expect(other.listen('192.0.2.1', 0)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });
    await other.close();
  });

  it('stops accepting at once, ends streams with their error, and leaves nothing open', async () => {
    const { url, core, server } = await serving({ stepMs: 10 });
    const response = await post(`${url}/v1/completions`, { model: BASE, prompt: 'x', max_tokens: 2000, stream: true });
    const closed = server.close();
    await core.close();
    const chunks = await chunksOf(response);
    expect(chunks.at(-1)).toMatchObject({ error: { message: 'The server is shutting down.' } });
    await closed;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });
});
