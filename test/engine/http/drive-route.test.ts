/** The routes of fixed drives, as bodies and statuses; what they do is worker/drive.test.ts's. */
import { expect, it } from 'vitest';
import { post, serving } from './serving.ts';

it('holds, releases and counts', async () => {
  const { url, core } = await serving();
  const engine = (path: string, body: unknown = {}) => post(`${url}/v1/engine/${path}`, body);
  const held = await engine('hold', { max_seconds: 20 });
  expect([held.status, await held.json()]).toEqual([200, { held: true, max_seconds: 20, running: 0, waiting: 0 }]);
  const again = await engine('hold');
  expect([again.status, ((await again.json()) as { error: { code: string } }).error.code]).toEqual([409, 'held']);

  const counters = await (await fetch(`${url}/v1/engine/counters`)).json();
  expect(counters).toMatchObject({
    counters: { steps: 0, dispatches: 0, padded_rows: 0, kv_bytes: 0, bind_groups_created: 0 },
    running: 0,
    waiting: 0,
    held: true,
    hold_expired: false,
    device: { candidate: 'scripted', name: 'scripted' },
    variants: ['scripted'],
    max_gpu_loras: 4,
  });

  const released = await engine('release');
  expect([released.status, await released.json()]).toEqual([200, { released: 0 }]);
  const none = await engine('release');
  expect([none.status, ((await none.json()) as { error: { code: string } }).error.code]).toEqual([409, 'not_held']);

  const body = { model: 'llama-3-8b', prompt: 'one', max_tokens: 1, hold_order: 7 };
  expect((await post(`${url}/v1/completions`, body)).status).toBe(200);
  expect(core.submitted[0]).toMatchObject({ order: 7 });
});

it('refuses a hold without end, and an order that is none', async () => {
  const { url } = await serving();
  for (const max_seconds of [0, -1, 601, '20']) {
    const refused = await post(`${url}/v1/engine/hold`, { max_seconds });
    expect([refused.status, ((await refused.json()) as { error: { param: string } }).error.param]).toEqual([
      400,
      'max_seconds',
    ]);
  }
  const body = { model: 'llama-3-8b', prompt: 'one', hold_order: -1 };
  expect((await post(`${url}/v1/completions`, body)).status).toBe(400);
});
