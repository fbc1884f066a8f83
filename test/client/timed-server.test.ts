/** The server that measures the client is held to its own promises, and runs as a process of its own. */
import { afterEach, expect, it } from 'vitest';
import { startTimedServer } from '../support/timed-server.ts';
import { startTimedServerProcess } from '../support/timed-server-process.ts';
import { clientFor, context, spec } from './sending.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

it('writes no chunk before its time, and soon after it', async () => {
  const server = await startTimedServer({ ttftMs: 25, gapMs: 6, tokensPerChunk: 2 });
  const client = clientFor(server.url);
  open.push(server.close, client.close);
  const medians: number[] = [];
  for (let i = 0; i < 5; i++) {
    await client.send(spec({ i, outputTokens: 9 }), context());
    const { received, chunks } = server.log[i]!;
    expect(chunks.map(({ tokens }) => tokens)).toEqual([2, 2, 2, 2, 1]);
    const late = chunks.map(({ at }, chunk) => (at - received) / 1e6 - (25 + 6 * chunk));
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    medians.push(late.toSorted((one, other) => one - other)[2]!);
  }
  expect(Math.min(...medians)).toBeLessThan(6); // a busy machine may spoil some
});

it('lists its base model, and adapters with their parent', async () => {
  const server = await startTimedServer({ model: 'm', adapters: ['a'] });
  open.push(server.close);
  const { data } = (await (await fetch(`${server.url}/models`)).json()) as {
    data: { id: string; parent: string | null }[];
  };
  expect(data.map(({ id, parent }) => [id, parent])).toEqual([
    ['m', null],
    ['a', 'm'],
  ]);
});

it('runs apart, and a client notices when it is killed in mid-stream', async () => {
  const server = await startTimedServerProcess({ ttftMs: 5, gapMs: 20 });
  const client = clientFor(server.url);
  open.push(() => server.kill(), client.close);
  expect((await client.send(spec(), context())).outcome).toBe('ok');
  const pending = client.send(spec({ i: 1, outputTokens: 1000 }), context());
  await new Promise((resolve) => setTimeout(resolve, 200));
  await server.kill();
  expect(await pending).toMatchObject({ outcome: 'failed', error: 'reset_mid_stream' });
  expect(await client.send(spec({ i: 2 }), context())).toMatchObject({ outcome: 'failed', error: 'connect_refused' });
});
