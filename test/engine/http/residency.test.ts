/** Adapters from files over HTTP: where they are, how they are moved, and what requests see of it. On the real core. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AdapterInfo, Tier } from '../../../engine/core.ts';
import { adapterFolder } from '../../support/golden-adapters.ts';
import { type RealServing, realServing } from './real-serving.ts';

const NAMES = ['plain', 'dora', 'nemo-fused', 'vera'];
const SLOTS = 2;
const IN_HOST = 3;

let s: RealServing;
beforeAll(async () => {
  s = await realServing({ maxGpuLoras: SLOTS, maxCpuLoras: IN_HOST });
  for (const name of NAMES) {
    const body = { lora_name: name, lora_path: adapterFolder(name) };
    expect(await s.ask('/v1/load_lora_adapter', body)).toMatchObject({ status: 200 });
  }
});
afterAll(() => s.close());

const list = async (): Promise<AdapterInfo[]> => ((await s.ask('/v1/adapters')).answer as { data: AdapterInfo[] }).data;
const tierOf = async (name: string): Promise<Tier | undefined> =>
  (await list()).find((adapter) => adapter.name === name)?.tier;
const ask = (action: string, body: object) => s.ask(`/v1/adapters/${action}`, body);
const evict = (name: string, to: Tier) => ask('evict', { lora_name: name, to });

interface Answer {
  choices: Array<{ text: string }>;
  timings: { adapter_tier: Tier | null; adapter_bytes: number; adapter_load_ms: number; adapter_ms: number };
}
const complete = async (model: string): Promise<Answer> => {
  const body = { model, prompt: [5, 6, 7], max_tokens: 4, temperature: 0, ignore_eos: true };
  const { status, answer } = await s.ask('/v1/completions', body);
  expect(status).toBe(200);
  return answer as Answer;
};

beforeEach(async () => {
  await ask('idle_tier', { tier: 'device' });
  for (const name of NAMES) {
    await ask('unpin', { lora_name: name });
    expect(await evict(name, 'disk')).toMatchObject({ status: 200, answer: { name, tier: 'disk', users: 0 } });
  }
});

describe('GET /v1/adapters', () => {
  it('says all there is to know of each', async () => {
    const { answer } = await s.ask('/v1/adapters');
    expect(answer).toEqual({
      idle_tier: 'device',
      data: NAMES.map((name) => ({
        name,
        path: adapterFolder(name),
        kind: { dora: 'dora', vera: 'vera' }[name] ?? 'lora',
        format: name.startsWith('nemo') ? 'nemo' : 'peft',
        rank: expect.any(Number),
        bytes: expect.any(Number),
        tier: 'disk',
        pinned: false,
        users: 0,
        loads: expect.any(Number),
      })),
    });
    const { data } = answer as { data: AdapterInfo[] };
    // Device memory follows the true rank, in pages of 8; DoRA's columns come on top.
    const pages = data.map(({ rank }) => Math.ceil(rank / 8));
    const plain = data.findIndex(({ name }) => name === 'plain');
    data.forEach(({ kind, bytes }, i) => {
      const ofRank = (data[plain]!.bytes / pages[plain]!) * pages[i]!;
      if (kind === 'dora') expect(bytes).toBeGreaterThan(ofRank);
      else expect(bytes).toBe(ofRank);
    });
  });
});

describe('moving adapters', () => {
  it('prefetch brings one to the device or to host memory', async () => {
    expect(await ask('prefetch', { lora_name: 'plain' })).toMatchObject({
      status: 200,
      answer: { name: 'plain', tier: 'device' },
    });
    expect(await ask('prefetch', { lora_name: 'dora', to: 'host' })).toMatchObject({ answer: { tier: 'host' } });
    expect(await tierOf('plain')).toBe('device');
    expect(await tierOf('dora')).toBe('host');
    expect(await tierOf('vera')).toBe('disk');
  });

  it('evict takes one off the device, and off host memory', async () => {
    await ask('prefetch', { lora_name: 'plain' });
    expect(await ask('evict', { lora_name: 'plain' })).toMatchObject({ status: 200, answer: { tier: 'host' } });
    expect(await evict('plain', 'disk')).toMatchObject({ status: 200, answer: { tier: 'disk' } });
  });

  it('pin keeps one on the device, against evict and against others', async () => {
    expect(await ask('pin', { lora_name: 'plain' })).toMatchObject({
      status: 200,
      answer: { tier: 'device', pinned: true },
    });
    expect(await evict('plain', 'host')).toMatchObject({ status: 409, answer: { error: { code: 'in_use' } } });
    for (const name of ['dora', 'nemo-fused', 'vera']) await complete(name);
    expect(await tierOf('plain')).toBe('device');
    expect(await ask('unpin', { lora_name: 'plain' })).toMatchObject({ status: 200, answer: { pinned: false } });
    expect(await evict('plain', 'host')).toMatchObject({ status: 200 });
  });

  it('says when there is no slot', async () => {
    await ask('pin', { lora_name: 'plain' });
    await ask('pin', { lora_name: 'dora' });
    for (const action of ['pin', 'prefetch']) {
      expect(await ask(action, { lora_name: 'vera' })).toMatchObject({
        status: 409,
        answer: { error: { code: 'no_slot', param: 'lora_name', message: expect.stringContaining('vera') } },
      });
    }
    expect(await tierOf('vera')).not.toBe('device');
  });

  it('an idle tier puts adapters there when their last request ends, and those that are idle at once', async () => {
    await ask('prefetch', { lora_name: 'plain' });
    expect(await ask('idle_tier', { tier: 'disk' })).toEqual({ status: 200, answer: { idle_tier: 'disk' } });
    expect((await s.ask('/v1/adapters')).answer).toMatchObject({ idle_tier: 'disk' });
    expect(await tierOf('plain')).toBe('disk');
    expect((await complete('plain')).timings.adapter_tier).toBe('disk');
    expect((await complete('plain')).timings.adapter_tier).toBe('disk');
    await ask('idle_tier', { tier: 'host' });
    await complete('plain');
    expect((await complete('plain')).timings.adapter_tier).toBe('host');
  });

  it('one that is in use stays', async () => {
    const controller = new AbortController();
    const body = { model: 'plain', prompt: [5], max_tokens: 200, ignore_eos: true, stream: true };
    const response = await fetch(`${s.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: controller.signal,
    });
    const reader = response.body!.getReader();
    await reader.read();
    expect(await evict('plain', 'host')).toMatchObject({ status: 409, answer: { error: { code: 'in_use' } } });
    expect((await list()).find(({ name }) => name === 'plain')).toMatchObject({ users: 1, tier: 'device' });
    controller.abort();
    await reader.read().catch(() => {});
    let status = 409;
    while (status === 409) status = (await evict('plain', 'host')).status;
    expect(status).toBe(200);
  });
});

describe('what a request tells of its adapter', () => {
  it('where it was, what was brought, and the same text from every tier', async () => {
    const cold = await complete('plain');
    expect(cold.timings).toMatchObject({ adapter_tier: 'disk', adapter_bytes: expect.any(Number) });
    expect(cold.timings.adapter_bytes).toBeGreaterThan(0);
    expect(cold.timings.adapter_load_ms).toBeGreaterThan(0);
    expect(cold.timings.adapter_ms).toBeGreaterThan(0);
    const warm = await complete('plain');
    expect(warm.timings).toMatchObject({ adapter_tier: 'device', adapter_bytes: 0, adapter_load_ms: 0, adapter_ms: 0 });
    await evict('plain', 'host');
    const fromHost = await complete('plain');
    expect(fromHost.timings.adapter_tier).toBe('host');
    expect(fromHost.timings.adapter_bytes).toBe(cold.timings.adapter_bytes);
    const base = await complete(s.core.info.geometry.name);
    expect(base.timings).toMatchObject({ adapter_tier: null, adapter_bytes: 0 });
    expect([cold, warm, fromHost].map(({ choices }) => choices)).toEqual(Array(3).fill(cold.choices));
    expect(base.choices[0]!.text).not.toBe(cold.choices[0]!.text);
  });
});

describe('/metrics', () => {
  const metric = async (series: string): Promise<number> => {
    const { answer } = await s.ask('/metrics');
    const line = (answer as string).split('\n').find((one) => one.startsWith(`${series}`));
    if (line === undefined) throw new Error(`there is no ${series} in\n${String(answer)}`);
    return Number(line.split(' ').at(-1));
  };
  const byTier = () =>
    Promise.all(['device', 'host', 'disk'].map((tier) => metric(`lorabench:lora_adapters{tier="${tier}"`)));

  it('count adapters by tier, loads by where they came from, and evictions', async () => {
    expect(await byTier()).toEqual([0, 0, NAMES.length]);
    expect(await metric('lorabench:max_gpu_loras')).toBe(SLOTS);
    expect(await metric('lorabench:max_cpu_loras')).toBe(IN_HOST);
    const counters = () =>
      Promise.all(
        ['lora_loads_total{from="disk"', 'lora_loads_total{from="host"', 'lora_evictions_total'].map((name) =>
          metric(`lorabench:${name}`),
        ),
      );
    const [disk, host, evictions] = await counters();
    await complete('plain');
    await evict('plain', 'host');
    await complete('plain');
    await ask('prefetch', { lora_name: 'dora', to: 'host' });
    await ask('pin', { lora_name: 'plain' });
    expect(await byTier()).toEqual([1, 1, NAMES.length - 2]);
    expect(await counters()).toEqual([disk! + 1, host! + 1, evictions! + 1]);
    expect(await metric('lorabench:lora_adapters_pinned')).toBe(1);
    expect(await metric('lorabench:lora_bytes{lora_name="plain"')).toBe((await list())[0]!.bytes);
    expect(await metric('lorabench:lora_wait_seconds_count{model_name="tiny-llama",tier="disk"')).toBeGreaterThan(0);
  });
});

describe('what is refused', () => {
  it.each<[string, object, number, object]>([
    ['pin', { lora_name: 'zz' }, 404, { code: 'not_found', param: 'lora_name', type: 'NotFoundError' }],
    ['unpin', { lora_name: 'zz' }, 404, { code: 'not_found' }],
    ['prefetch', { lora_name: 'zz' }, 404, { code: 'not_found' }],
    ['evict', { lora_name: 'zz' }, 404, { code: 'not_found' }],
    ['pin', {}, 400, { param: 'lora_name' }],
    ['pin', { lora_name: '' }, 400, { param: 'lora_name' }],
    ['pin', { lora_name: 5 }, 400, { param: 'lora_name' }],
    ['pin', [], 400, { param: null }],
    ['pin', { lora_name: 'plain', to: 'host' }, 400, { param: 'to', code: 'unknown_parameter' }],
    ['prefetch', { lora_name: 'plain', to: 'disk' }, 400, { param: 'to' }],
    ['evict', { lora_name: 'plain', to: 'device' }, 400, { param: 'to' }],
    ['idle_tier', { tier: 'gpu' }, 400, { param: 'tier' }],
    ['idle_tier', {}, 400, { param: 'tier' }],
  ])('%s %j', async (action, body, status, error) => {
    const { answer, ...found } = await ask(action, body);
    expect(found.status).toBe(status);
    expect(answer).toMatchObject({ error });
    expect(Object.keys((answer as { error: object }).error).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect((await list()).every(({ tier, pinned }) => tier === 'disk' && !pinned)).toBe(true);
  });

  it('a synthetic adapter has no file to go back to', async () => {
    await s.core.loadAdapter('made', 'synthetic:rank=4,seed=1', { to: 'disk' });
    expect(await evict('made', 'disk')).toMatchObject({ status: 400, answer: { error: { code: 'bad_file' } } });
    expect(await evict('made', 'host')).toMatchObject({ status: 200, answer: { tier: 'host', format: 'synthetic' } });
    await s.core.unloadAdapter('made');
  });
});
