/** The client against a real server: what it sends, what it takes for content, and that its stamps are the server's. */
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { type CountingClient, type CountingOptions, clientFor, context, spec } from './sending.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function serve(
  server: Partial<TimedServerOptions> = {},
  options: CountingOptions = {},
): Promise<{ server: TimedServer; client: CountingClient }> {
  const started = await startTimedServer({ clock: now, ttftMs: 5, gapMs: 1, ...server });
  const client = clientFor(started.url, options);
  open.push(started, client);
  return { server: started, client };
}

/** A tokenizer that makes two tokens of every word. */
const twoAWord = (text: string): number[] => (text.match(/ \w+/g) ?? []).flatMap((word) => [1, word.length - 1]);

describe('what is sent', () => {
  it('asks for an exact length, streamed, with running usage, from the adapter', async () => {
    const { server, client } = await serve({ adapters: ['a1'] });
    await client.send(
      spec({ adapter: 'a1' }),
      context({ extraBody: { top_k: 5, stream: false, model: 'x' }, seed: 7 }),
    );
    expect(server.log[0]?.path).toBe('/v1/completions');
    expect(server.log[0]?.body).toEqual({
      model: 'a1',
      prompt: 'one two three',
      max_tokens: 6,
      min_tokens: 6,
      ignore_eos: true,
      temperature: 0,
      seed: 7,
      top_k: 5,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
  });

  it('only caps the length where that is asked, and sends one user message to a chat', async () => {
    const { server, client } = await serve({}, { api: 'chat' });
    await client.send(spec({ control: 'cap' }), context({ temperature: 0.5 }));
    const [sent] = server.log;
    expect(sent?.path).toBe('/v1/chat/completions');
    expect(sent?.body).toEqual({
      model: 'base',
      messages: [{ role: 'user', content: 'one two three' }],
      max_tokens: 6,
      temperature: 0.5,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
  });

  it('names an adapter beside the model where the server looks for it there', async () => {
    const { server, client } = await serve({ adapters: ['a1'] }, { adapterField: 'lora_path' });
    await client.send(spec({ adapter: 'a1' }), context());
    await client.send(spec({ i: 1 }), context());
    expect(server.log.map(({ body }) => [body['model'], body['lora_path']])).toEqual([
      ['base', 'a1'],
      ['base', undefined],
    ]);
  });

  it('sends the key and the headers it was given', async () => {
    const { server, client } = await serve(
      { apiKey: 'sk-secret-1' },
      { apiKey: 'sk-secret-1', headers: { 'X-Team': 'red' } },
    );
    expect((await client.send(spec(), context())).outcome).toBe('ok');
    expect(server.log[0]?.headers).toMatchObject({ authorization: 'Bearer sk-secret-1', 'x-team': 'red' });
  });

  it('refuses an address with a password in it, without repeating it', () => {
    expect(() => clientFor('http://me:hunter2@127.0.0.1/v1')).toThrow(/not usable/);
    try {
      clientFor('http://me:hunter2@127.0.0.1/v1');
    } catch (error) {
      expect(String(error)).not.toContain('hunter2');
    }
    expect(() => clientFor('ftp://127.0.0.1/v1')).toThrow(/http/);
  });
});

describe('a record', () => {
  it('has every content chunk with its tokens', async () => {
    const { client } = await serve({ tokensPerChunk: 4, timings: true });
    const record = await client.send(spec({ i: 3, outputTokens: 10 }), context({ attempt: 2 }));
    expect(record).toMatchObject({
      run: 'c1.0',
      attempt: 2,
      i: 3,
      phase: 'measure',
      model: 'base',
      adapter: null,
      outcome: 'ok',
      error: null,
      usage: { prompt_tokens: 3, completion_tokens: 10 },
      asked: { promptTokens: 3, outputTokens: 10 },
      finish: 'length',
      tokenSource: 'continuous_usage',
    });
    expect(record.chunks.map(([, tokens]) => tokens)).toEqual([4, 4, 2]);
    expect(record.timings?.ttft_ms).toBeGreaterThanOrEqual(5);
    expect(record).not.toHaveProperty('detail');
    const stamps = [record.sent, record.firstByte, ...record.chunks.map(([at]) => record.sent + at), record.end];
    expect(stamps.every(Number.isSafeInteger)).toBe(true);
    expect(stamps).toEqual(stamps.toSorted((a, b) => (a as number) - (b as number)));
    expect(record.intended).toBe(record.sent);
  });

  it("keeps an open loop's intended time", async () => {
    const { client } = await serve();
    const intended = now() - 50e6;
    const record = await client.send(spec({ intendedOffset: 0 }), context({ intended }));
    expect(record.intended).toBe(intended);
    expect(record.sent - record.intended).toBeGreaterThanOrEqual(50e6);
  });

  it('does not take a role for content, and tells thoughts from output', async () => {
    const { server, client } = await serve(
      { ttftMs: 40, gapMs: 20, reasoningChunks: 2, timings: true },
      { api: 'chat' },
    );
    const record = await client.send(spec({ outputTokens: 4 }), context());
    expect(record.chunks).toHaveLength(4);
    expect(record.firstByte as number).toBeLessThan(record.sent + (record.chunks[0]?.[0] as number) - 20e6);
    expect(record.firstOutput).toBe(record.chunks[2]?.[0]);
    expect(server.log[0]?.chunks).toHaveLength(4);
  });

  it('counts hidden tokens, seen only in the usage, as content', async () => {
    const { client } = await serve({ text: (chunk) => (chunk % 2 === 0 ? '' : 'é') });
    const record = await client.send(spec(), context());
    expect(record.chunks.map(([, tokens]) => tokens)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(record.firstOutput).toBe(record.chunks[0]?.[0]);
  });

  it.each([
    ['final', 'tokenizer', [2, 2, 2], twoAWord],
    ['none', 'tokenizer', [2, 2, 2], twoAWord],
    ['final', 'unknown', [null, null, null], null],
    ['none', 'unknown', [null, null, null], null],
  ] as const)('usage %s gives tokens from %s', async (usage, source, tokens, tokenBytes) => {
    const { client } = await serve({ usage, tokensPerChunk: 2 }, { tokenBytes });
    const record = await client.send(spec(), context());
    expect(record.outcome).toBe('ok');
    expect(record.tokenSource).toBe(source);
    expect(record.chunks.map(([, n]) => n)).toEqual(tokens);
    expect(record.usage?.completion_tokens ?? null).toBe(usage === 'final' ? 6 : null);
  });

  it("does not believe a tokenizer that finds another sum than the server's", async () => {
    const { client } = await serve({ usage: 'final' }, { tokenBytes: twoAWord });
    const record = await client.send(spec(), context());
    expect(record.tokenSource).toBe('one_per_chunk');
    const twelve = await serve({ usage: 'final', tokensPerChunk: 3 }, { tokenBytes: twoAWord });
    const other = await twelve.client.send(spec({ outputTokens: 12 }), context());
    expect(other).toMatchObject({ outcome: 'ok', tokenSource: 'unknown' });
  });

  it('counts one token a chunk where the final usage says so', async () => {
    const { client } = await serve({ usage: 'final' });
    const record = await client.send(spec(), context());
    expect(record.tokenSource).toBe('one_per_chunk');
    expect(record.chunks.map(([, tokens]) => tokens)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('reads CRLF streams and streams without [DONE]', async () => {
    const { client } = await serve({ lineEnd: '\r\n', done: false });
    expect((await client.send(spec(), context())).outcome).toBe('ok');
  });
});

describe('a server that refuses stream options', () => {
  it.each([
    ['continuous_usage_stats', { include_usage: true }, 'one_per_chunk'],
    ['stream_options', undefined, 'unknown'],
  ] as const)('%s: asks again without, and never again', async (refuse, left, source) => {
    const { server, client } = await serve({ refuse });
    const first = await client.send(spec({ intendedOffset: 0 }), context({ intended: now() - 1e9 }));
    const second = await client.send(spec({ i: 1 }), context());
    expect([first, second].map(({ outcome, tokenSource }) => [outcome, tokenSource])).toEqual([
      ['ok', source],
      ['ok', source],
    ]);
    expect(first.intended).toBe(first.sent);
    // The log holds what was understood: the refused try is there too, without chunks.
    expect(server.log).toHaveLength(3);
    expect(server.log.slice(1).map(({ body }) => body['stream_options'])).toEqual([left, left]);
  });
});

describe('stamps', () => {
  it("are the server's, but for the time on the wire", async () => {
    const { server, client } = await serve({ ttftMs: 30, gapMs: 8 });
    await client.connect();
    const late: number[] = [];
    const tpotErrors: number[] = [];
    for (let i = 0; i < 8; i++) {
      const record = await client.send(spec({ i, outputTokens: 10 }), context());
      const served = server.log[i]!;
      expect(record.sent).toBeLessThan(served.received);
      expect(record.chunks).toHaveLength(10);
      // No chunk may seem to have come before it was written.
      const lateness = record.chunks.map(([at], c) => (record.sent + at - served.chunks[c]!.at) / 1e6);
      expect(Math.min(...lateness)).toBeGreaterThan(0);
      late.push(...lateness);
      expect(record.chunks[0]![0] / 1e6).toBeGreaterThan(30);
      const tpot = (record.chunks[9]![0] - record.chunks[0]![0]) / 9e6;
      tpotErrors.push(Math.abs(tpot - (served.chunks[9]!.at - served.chunks[0]!.at) / 9e6));
    }
    const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
    expect(median(late)).toBeLessThan(5);
    expect(median(tpotErrors)).toBeLessThan(2);
  });

  it('are not spoilt by opening connections: those are opened ahead', async () => {
    const { server, client } = await serve({ ttftMs: 1 }, { connections: 5 });
    await client.connect();
    await expect.poll(() => server.connections).toBe(5);
    await client.connect(3);
    await client.connect(7);
    await expect.poll(() => server.connections).toBe(7);
    const records = await Promise.all(Array.from({ length: 7 }, (_, i) => client.send(spec({ i }), context())));
    expect(records.every(({ outcome }) => outcome === 'ok')).toBe(true);
    await expect.poll(() => server.connections).toBe(7);
    await client.connect(7);
    await expect.poll(() => server.connections).toBe(7);
    await Promise.all(Array.from({ length: 9 }, (_, i) => client.send(spec({ i }), context())));
    await expect.poll(() => server.connections).toBe(9);
  });

  it('reuse one connection for requests one after another', async () => {
    const { server, client } = await serve();
    for (let i = 0; i < 4; i++) expect((await client.send(spec({ i }), context())).outcome).toBe('ok');
    await expect.poll(() => server.connections).toBe(1);
  });
});
