/**
 * What can go wrong ends in one record with one name: statuses, timeouts, no server, wrong lengths, signals, and no secrets
 * in any of it. Everything else that servers do is in faults.test.ts.
 */
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
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
  const started = await startTimedServer({ ttftMs: 5, gapMs: 1, ...server });
  const client = clientFor(started.url, options);
  open.push(started, client);
  return { server: started, client };
}

describe('faults', () => {
  it.each([
    [400, 'http_400'],
    [403, 'http_403'],
    [404, 'http_404'],
    [422, 'http_422'],
    [429, 'http_429'],
    [500, 'http_500'],
    [503, 'http_503'],
    [418, 'http_other'],
    [502, 'http_other'],
  ])('status %i is %s, beside requests that succeed', async (status, error) => {
    const fault = { status, body: `{"error":{"message":"no: ${status}"}}` };
    const { client } = await serve({ fault: (n) => (n === 1 ? fault : null) });
    const records = await Promise.all([0, 1, 2].map((i) => client.send(spec({ i }), context())));
    const bad = records.filter(({ outcome }) => outcome !== 'ok');
    expect(bad).toHaveLength(1);
    expect(bad[0]).toMatchObject({ outcome: 'failed', error, chunks: [], detail: `no: ${status}` });
    expect((await client.send(spec({ i: 3 }), context())).outcome).toBe('ok');
  });

  it.each([
    ['stall_before_headers', 'headers_timeout', 0.8],
    ['stall_before_content', 'first_content_timeout', 0.9],
    ['stall_mid_stream', 'total_timeout', 1],
  ] as const)('%s is %s', async (fault, error, share) => {
    const { server, client } = await serve({ fault: () => fault });
    const record = await client.send(spec(), context({ timeoutMs: 400 }));
    expect(record).toMatchObject({ outcome: 'failed', error });
    expect(record.end - record.sent).toBeGreaterThanOrEqual(share * 400e6 - 2e6);
    await expect.poll(() => server.log[0]?.aborted).toBe(true);
  });

  it('names a server that is not there', async () => {
    const { server, client } = await serve();
    await server.close();
    expect(await client.send(spec(), context())).toMatchObject({
      outcome: 'failed',
      error: 'connect_refused',
      chunks: [],
    });
    await expect(client.connect(2)).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE' });
    const nowhere = clientFor('http://no-such-host.invalid/v1');
    open.push(nowhere);
    expect(await nowhere.send(spec(), context())).toMatchObject({ outcome: 'failed', error: 'connect_failed' });
  });

  it('names a connection that never comes about', async () => {
    // It accepts, and never answers the TLS handshake.
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const client = clientFor(`https://127.0.0.1:${port}/v1`);
    open.push(client, { close: () => new Promise((resolve) => silent.close(() => resolve())) });
    const record = await client.send(spec(), context({ timeoutMs: 200 }));
    expect(record).toMatchObject({ outcome: 'failed', error: 'connect_timeout', firstByte: null });
    await client.close();
  });
});

describe('an exact length', () => {
  it.each([
    [{ produce: () => 4 }, 'wrong_output_tokens', 'asked for 6, got 4'],
    [{ finish: 'stop' }, 'wrong_finish_reason', 'asked for "length", got stop'],
  ] satisfies [Partial<TimedServerOptions>, string, string][])('%j is %s', async (server, error, detail) => {
    const { client } = await serve(server);
    expect(await client.send(spec(), context())).toMatchObject({ outcome: 'failed', error, detail });
    expect(await client.send(spec({ i: 1, control: 'cap' }), context())).toMatchObject({ outcome: 'ok' });
  });
});

describe('a signal', () => {
  it('cancels before, while waiting and while streaming, and closes the connection', async () => {
    const { server, client } = await serve({ ttftMs: (n) => (n === 0 ? 5_000 : 1), gapMs: 200 });
    expect(await client.send(spec(), context(), AbortSignal.abort())).toMatchObject({
      outcome: 'cancelled',
      error: null,
    });
    expect(server.log).toHaveLength(0);

    const early = await client.send(spec(), context(), AbortSignal.timeout(50));
    expect(early).toMatchObject({ outcome: 'cancelled', error: null, chunks: [] });
    const late = await client.send(spec({ i: 1 }), context(), AbortSignal.timeout(100));
    expect(late.outcome).toBe('cancelled');
    expect(late.chunks).toHaveLength(1);
    await expect.poll(() => server.log.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('leaves no request without a record when the client is closed', async () => {
    const { client } = await serve({ ttftMs: 5_000 });
    const pending = client.send(spec(), context());
    await new Promise((resolve) => setTimeout(resolve, 50));
    await client.close();
    expect((await pending).outcome).toBe('failed');
    expect((await client.send(spec({ i: 1 }), context())).outcome).toBe('failed');
  });
});

describe('secrets', () => {
  it('are in no record, though the server repeats them', async () => {
    const { client } = await serve(
      { apiKey: 'right' },
      { apiKey: 'sk-wrong-key', headers: { 'x-token': 'tok-123456789' } },
    );
    const record = await client.send(spec(), context());
    expect(record).toMatchObject({ outcome: 'failed', error: 'http_401' });
    expect(record.detail).toBe('Incorrect API key provided: Bearer ***');

    const echo = { status: 500, body: '{"error":{"message":"bad tok-123456789 for sk-wrong-key"}}' };
    const second = await serve(
      { fault: () => echo },
      { apiKey: 'sk-wrong-key', headers: { 'x-token': 'tok-123456789' } },
    );
    expect((await second.client.send(spec(), context())).detail).toBe('bad *** for ***');
  });

  it('long details are cut to 300 characters on one line', async () => {
    const { client } = await serve({ fault: () => ({ status: 500, body: 'a\nb'.repeat(1000) }) });
    const { detail } = await client.send(spec(), context());
    expect(detail).toHaveLength(300);
    expect(detail).not.toContain('\n');
  });
});
